//! Rest before a capture: the application goes on, and what it has set going in the JVM comes to an end.
//!
//! The order was measured. A full collection re-arms the entry barrier of every compiled method (since JDK 20 with
//! every collector), and its next call writes to the code itself: a page of its own for each method that an instance calls.
//! So after it the application serves on until its code is disarmed. What has died meanwhile a young collection takes,
//! which arms nothing and leaves eden empty: no collection falls into an instance's first requests. (If a collector begins to mark all the
//! same, which arms code, the application serves on once more.)

mod collection;
mod idle;
pub mod malloc;
mod monitors;
mod young;

pub use idle::Lull;

use crate::hotspot::flags::Flags;
use crate::hotspot::marking::Marking;
use crate::hotspot::vmstructs::VmStructs;
use crate::jvm::Jvm;
use crate::load::{self, Paused};
use crate::warm::{Threads, Used};
use hotfork_frozen::instance::epoch;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long the application's load is looked at first.
const LOOK: Duration = Duration::from_millis(500);
/// ... and how often, where its load is Hotfork's: that is silent for a second at times.
const LOOKS_AT_SILENCE: usize = 4;
/// An application that uses less than a twentieth of a processor will not call its methods in time.
const BUSY: u32 = 20;
/// HotSpot's pool of arena chunks is emptied every five seconds (ChunkPoolCleaner): what the compilers used goes back to
/// malloc. Instances would do it in their first moments, and touch 1,500 pages for it.
const CHUNK_POOL: Duration = Duration::from_millis(5500);
/// The application's CPU time after which its code is disarmed again.
const SERVED: Duration = Duration::from_millis(750);
const SERVES_WITHIN: Duration = Duration::from_secs(15);
/// A verdict may come while compilers use up to a quarter of the application's CPU time. Instances gain from what they still have to do, and from what
/// the collection has dropped: it is awaited, until a tenth was enough for a second.
const COMPILERS_PART: u64 = 10;
const SECOND_OF_LOOKS: usize = 8;
const COMPILES_WITHIN: Duration = Duration::from_secs(5);

/// What was done, for the image. The load, as far as it is ours, stands still until what is given is dropped.
pub fn bring_to_rest(jvm: &Jvm) -> (String, Paused) {
    let mut rest = Rest::begin(jvm);
    let mut paused = load::pause();
    rest.settle(jvm);
    // Once: a collector that marks all the time would do so again.
    if rest.is_armed_again() {
        drop(paused);
        let served = rest.serve_again();
        paused = load::pause();
        if served {
            rest.settle(jvm);
        }
    }
    (rest.told(), paused)
}

struct Rest {
    structs: Option<VmStructs>,
    collected: bool,
    /// It has noted when the application had served on; there only if it was collected.
    marking: Option<Marking>,
    /// The chunk pool is to be emptied when the load rests.
    pool_is_left: bool,
    done: Vec<String>,
}

impl Rest {
    /// While the application serves.
    fn begin(jvm: &Jvm) -> Self {
        let structs = VmStructs::open();
        let mut rest = Self { collected: false, marking: None, pool_is_left: false, done: Vec::new(), structs };
        match rest.structs.as_ref().and_then(Flags::find) {
            Some(flags) => rest.under_load(jvm, &flags),
            None => rest.say("not collected: HotSpot's flags were not found"),
        }
        rest
    }

    fn say(&mut self, what: impl Into<String>) {
        self.done.push(what.into());
    }

    fn under_load(&mut self, jvm: &Jvm, flags: &Flags) {
        if monitors::deflate(flags) {
            self.say("idle monitors deflated");
        }
        let mut threads = Threads::default();
        if !is_busy(&mut threads) {
            self.say("not collected: the application is idle, and would meet its code re-armed");
            return;
        }
        // Shenandoah marks again and again, whatever is done about it.
        let mut marking = if flags.is_set("UseShenandoahGC") { None } else { Marking::find_in_this_process() };
        // Better when nothing compiles any more, if that can be had. Six seconds of serving on leave garbage: before the collection.
        self.pool_is_left = load::runs();
        if !self.pool_is_left {
            self.empty_chunk_pool();
        }
        // It leaves all pieces unsorted: whoever asks for memory next sorts those of its arena, and touches each. Better the
        // application does than its instances (the trim at the end leaves few).
        malloc::trim();
        // A load of ours is a training: nobody waits for its answers.
        match collection::collect(jvm, flags, self.pool_is_left) {
            Ok(collected) => {
                self.collected = true;
                self.say(format!("{collected}, {}", serve(&mut threads, marking.as_mut())));
                self.marking = marking;
            }
            Err(why) => self.say(format!("not collected: {why}")),
        }
    }

    /// HotSpot tells nobody when it has done so.
    fn empty_chunk_pool(&mut self) {
        std::thread::sleep(CHUNK_POOL);
        self.say("chunk pool emptied");
    }

    /// When its load, as far as it is ours, rests.
    fn settle(&mut self, jvm: &Jvm) {
        let idle = idle::compilers_in_time();
        self.say(if idle { "compilers idle" } else { "compilers still at work" });
        if self.pool_is_left {
            self.empty_chunk_pool();
        }
        if self.collected
            && let Some(structs) = &self.structs
            && let Some(took) = young::collect(jvm, structs)
        {
            self.say(format!("young collection in {took:.1?}"));
        }
        // Also what that collection has begun.
        if !idle::background_in_time() {
            self.say("the JVM's own threads still at work");
        }
    }

    /// Whether a collector has begun to mark since the application served on, and has armed code again: G1 does so at a young collection, by the
    /// occupancy that it foresees.
    fn is_armed_again(&self) -> bool {
        self.marking.as_ref().is_some_and(Marking::has_moved)
    }

    /// When its load goes on; false where there is none, and nothing has changed.
    fn serve_again(&mut self) -> bool {
        let mut threads = Threads::default();
        let busy = is_busy(&mut threads);
        if busy {
            let served = serve(&mut threads, self.marking.as_mut());
            self.say(format!("code armed again, {served}"));
        }
        busy
    }

    /// What was done.
    fn told(mut self) -> String {
        if self.is_armed_again() {
            self.say("code armed again");
        }
        self.done.join(", ")
    }
}

fn is_busy(threads: &mut Threads) -> bool {
    let looks = if load::runs() { LOOKS_AT_SILENCE } else { 1 };
    (0..looks).any(|_| is_busy_now(threads))
}

fn is_busy_now(threads: &mut Threads) -> bool {
    let used = threads.look().and_then(|_| {
        std::thread::sleep(LOOK);
        threads.look()
    });
    used.is_ok_and(|Used { app, .. }| Duration::from_nanos(app) * BUSY >= LOOK)
}

/// Lets the application serve until its code is disarmed, and its compilers keep up.
fn serve(threads: &mut Threads, mut marking: Option<&mut Marking>) -> String {
    let (begin, born) = (Instant::now(), epoch());
    if let Some(marking) = &mut marking {
        marking.note();
    }
    let (mut served, mut second) = (Duration::ZERO, VecDeque::new());
    // What it used before.
    let mut looked = threads.look().is_ok();
    while looked && !is_served(served, &second, begin.elapsed()) && epoch() == born {
        std::thread::sleep(LOOK / 4);
        looked = threads.look().is_ok_and(|used| {
            served += Duration::from_nanos(used.app);
            second.push_front(used);
            second.truncate(SECOND_OF_LOOKS);
            true
        });
        if let Some(marking) = marking.as_mut().filter(|marking| marking.has_moved()) {
            marking.note();
            served = Duration::ZERO;
        }
    }
    let took = begin.elapsed();
    match served < SERVED {
        true => format!("served too little in {took:.1?}: its code is not all disarmed"),
        false if keep_up(&second) => format!("served on for {took:.1?}"),
        false => format!("served on for {took:.1?} with its compilers at work"),
    }
}

fn is_served(served: Duration, second: &VecDeque<Used>, took: Duration) -> bool {
    if served < SERVED { took >= SERVES_WITHIN } else { keep_up(second) || took >= COMPILES_WITHIN }
}

/// Over the last second.
fn keep_up(second: &VecDeque<Used>) -> bool {
    let (jit, app) = second.iter().fold((0, 0), |(jit, app), used| (jit + used.jit, app + used.app));
    second.len() == SECOND_OF_LOOKS && jit * COMPILERS_PART <= app
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_serves_on_until_its_compilers_keep_up() {
        let looks = |jit| VecDeque::from(vec![Used { app: 100, jit, jvm: 0 }; SECOND_OF_LOOKS]);
        let soon = Duration::from_secs(2);
        assert!(is_served(SERVED, &looks(10), soon));
        assert!(!is_served(SERVED, &looks(11), soon));
        assert!(!is_served(SERVED, &looks(10).into_iter().skip(1).collect(), soon), "less than a second");
        assert!(is_served(SERVED, &looks(11), COMPILES_WITHIN), "they are not waited for for ever");
        assert!(!is_served(SERVED / 2, &looks(0), COMPILES_WITHIN), "its code is armed");
        assert!(is_served(SERVED / 2, &looks(0), SERVES_WITHIN));
    }
}
