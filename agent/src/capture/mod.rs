//! One capture, as a list of phases. Each has a bound, and each undoes what it did when a later one fails.
//!
//! ```text
//!  Session::open     helper started or met; it looks for what must be refused
//!  Preparation::make signal chosen, offsets looked up, buffers made: nothing allocates from the freeze on
//!  fork::rehearse    pages are made ready for the fork, which is shorter then
//!  Suspension::all   application threads stop when they wait, if that is soon (undo: resumed)
//!  Renewal::find     what an instance will write: fields of the JDK's objects
//!  freeze            every thread stands in the signal handler              (undo: thawed)
//!  hand_over         descriptors are sent to the helper                     (undo: thawed)
//!  fork              the child is the template, while the helper writes down descriptors; thawed in any case
//!  resume            the application runs
//!  Session::saved    the image is written
//! ```
mod begin;
mod error;
mod in_hand;
mod preparation;
mod session;
pub mod signal;
mod spawn;
mod suspension;

pub use begin::{Again, Occasion, helper_path};
pub use error::CaptureError;
pub use session::{limit_sending, meet, tell};
pub use spawn::{Adopted, Helper, start_helper};

use crate::hotspot;
use crate::jvm::Jvm;
use crate::options::Options;
use crate::renew::{self, Renewal};
use crate::rest::{Lull, malloc};
use hotfork_abi::record::HeapLayout;
use hotfork_frozen::clock::of_the_jvm;
use hotfork_frozen::descriptors::{self, hand_over};
use hotfork_frozen::fork::{self, World};
use hotfork_frozen::freeze::{self, FreezeError, Frozen, freeze};
use hotfork_frozen::syscall::{clocks, monotonic};
use preparation::Preparation;
use session::Session;
use std::path::PathBuf;
use std::time::Duration;
pub use suspension::Suspension;

pub enum Outcome {
    Saved {
        image: PathBuf,
        size: u64,
        stopped: u64,
        saving: u64,
        /// Why its trial failed; empty if it did not.
        trial_failed: String,
        /// What its trial cost, where that was poor.
        poor: Option<u64>,
    },
    /// The new image is no better than that which is there, which stays.
    Kept { why: String },
    /// This is a restored instance, renewed and running.
    Instance,
}

pub fn capture(jvm: &Jvm, options: &Options, occasion: &Occasion) -> Result<Outcome, CaptureError> {
    let mut session = Session::open(options, occasion)?;
    let result = capture_with(jvm, options, &mut session);
    match result {
        Ok(Outcome::Instance) => {
            // Its descriptors are not part of the image: the numbers may be somebody else's now.
            std::mem::forget(session);
            Ok(Outcome::Instance)
        }
        Err(error) => {
            session.abandon(&error);
            Err(error)
        }
        saved => saved,
    }
}

/// Room for the JNI references of a capture: its threads, and what an instance will write. More come as they are needed.
const REFERENCES: i32 = 64;

fn capture_with(jvm: &Jvm, options: &Options, session: &mut Session) -> Result<Outcome, CaptureError> {
    let facts = hotspot::facts(jvm)?;
    let renewal = Renewal::plan(jvm, facts.perf).map_err(|error| CaptureError::Jvm(error.to_string()))?;
    let mut preparation = Preparation::make(jvm, &facts)?;
    // Before the trim, as it reads a large file; and kept to the end, as what is freed is sorted sometime.
    let lull = options.quiesce.then(Lull::prepare);
    if options.quiesce {
        malloc::trim();
    }
    malloc::fill_cache();
    rehearse_fork(options.max_stop);
    // Last of all: threads stood still in that fork, and now do what they could not do meanwhile.
    if let Some(lull) = &lull {
        preparation.note_lull(lull.wait());
    }
    let max_stop = options.max_stop.as_nanos() as u64;
    let started = monotonic();
    let deadline = started + max_stop;

    let references = jvm.jni.push_local_frame(REFERENCES);
    let references = references.map_err(|_| {
        CaptureError::Jvm("the JVM has no native memory for references to its threads; free memory".into())
    })?;
    let suspension = Suspension::all(jvm, options.quiesce.then_some(options.max_stop))?;
    let suspended = monotonic();
    let mut frozen_at = [0; 3];
    let found = renewal.find(jvm, &suspension).map_err(|error| CaptureError::Jvm(error.to_string()));
    let outcome = found.and_then(|found| {
        stop_and_fork(&mut preparation, session, &suspension, deadline, &mut frozen_at).map(|world| (world, found))
    });
    match outcome {
        Ok((World::Instance, found)) => {
            renew::begin();
            renewal.run(jvm, &found);
            suspension.rehearse_resumption(jvm);
            renewal.release();
            suspension.resume(jvm);
            hotfork_frozen::instance::second_release();
            renewal.done();
            suspension.end(jvm);
            // To free these buffers is to make two hundred pages of malloc's this instance's own (malloc_consolidate).
            std::mem::forget((found, references));
            std::mem::forget((preparation, suspension, renewal, lull));
            Ok(Outcome::Instance)
        }
        Ok((World::Original { template }, _)) => {
            suspension.resume(jvm);
            suspension.end(jvm);
            let stopped = monotonic() - started;
            let [frozen, sent, forked] = frozen_at;
            log::debug!(
                "stood still {stopped} ns: suspension {}, freeze {}, descriptors {}, fork {}",
                suspended - started,
                frozen - suspended,
                sent - frozen,
                forked - sent
            );
            preparation.clean();
            // Saving may take minutes, and threads may end meanwhile.
            references.close();
            session.save(template, started, stopped)
        }
        Err(error) => {
            suspension.resume(jvm);
            suspension.end(jvm);
            preparation.clean();
            Err(error)
        }
    }
}

/// What the first fork of a page that was just written takes, at most (35 to 150 ns were measured).
const FORK_OF_A_PAGE: Duration = Duration::from_nanos(150);

/// Not where it might take longer than a stop may: threads that meet a page fault wait for its end.
fn rehearse_fork(max_stop: Duration) {
    match anonymous_pages() {
        Some(pages) if FORK_OF_A_PAGE.saturating_mul(pages) <= max_stop => {
            if let Err(error) = fork::rehearse() {
                log::debug!("no rehearsal of the fork: {error:?}");
            }
        }
        pages => {
            log::debug!("no rehearsal of the fork, which might take longer than a stop may: {pages:?} pages of its own")
        }
    }
}

fn anonymous_pages() -> Option<u32> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    // Resident, and of these shared or of files (proc(5)).
    let mut pages = statm.split(' ').skip(1).map(|pages| pages.parse::<u64>().ok());
    let (resident, shared) = (pages.next()??, pages.next()??);
    u32::try_from(resident.saturating_sub(shared)).ok()
}

/// From the first signal to the thaw. Allocates nothing: the requests are built before, and what
/// runs while threads stand still is `hotfork-frozen`'s.
fn stop_and_fork(
    preparation: &mut Preparation,
    session: &Session,
    suspension: &Suspension,
    deadline: u64,
    times: &mut [u64; 3],
) -> Result<World, CaptureError> {
    let mut record = preparation.record();
    let Preparation { tids, directory, .. } = preparation;
    let mut freezing = freeze::Request {
        pid: record.pid,
        tid: nix::unistd::gettid().as_raw(),
        signal: preparation.signal,
        tasks: session.tasks(),
        deadline,
        suspended: suspension.java_threads(),
        tids,
        directory,
    };
    let frozen = freeze_between_collections(&mut freezing, &record.heap)?;
    times[0] = monotonic();
    let mut handing = descriptors::Request {
        socket: session.socket(),
        list: session.descriptor_list(),
        own: session.own_descriptors(),
        directory,
        deadline,
    };
    let handed_over = match hand_over(&frozen, &mut handing) {
        Ok(handed_over) => handed_over,
        Err(error) => {
            frozen.thaw();
            return Err(error.into());
        }
    };
    times[1] = monotonic();
    record.slot_count = frozen.count.into();
    record.leader = frozen.leader.into();
    record.clocks = clocks();
    record.jvm_clock.monotonic = of_the_jvm(record.clocks.monotonic);
    let forking = fork::Request { control: session.template_control(), shared: preparation.shared.word(), deadline };
    match fork::fork(frozen, handed_over, record, &forking) {
        Ok(world) => {
            times[2] = monotonic();
            Ok(world)
        }
        Err(error) => {
            if let Some(template) = error.template() {
                session::reap(template);
            }
            Err(error.into())
        }
    }
}

/// How often it is looked whether a collection has ended.
const LOOKS_EVERY: Duration = Duration::from_millis(1);

/// While the world is stopped for a collection, free heap cannot be told from what is being copied there. Threads of the JVM
/// are let go again then, three times at most, so that it ends; the application's stay suspended.
fn freeze_between_collections(request: &mut freeze::Request<'_>, heap: &HeapLayout) -> Result<Frozen, FreezeError> {
    let mut waits = [5, 20, 50].map(Duration::from_millis).into_iter();
    loop {
        let begin = monotonic();
        let frozen = freeze(request)?;
        let Some(wait) = waits.next().filter(|_| hotspot::is_collecting(heap)) else { return Ok(frozen) };
        let now = monotonic();
        // Another freeze takes about as long, and what comes after it takes time as well.
        if now + wait.as_nanos() as u64 + 4 * (now - begin) > request.deadline {
            return Ok(frozen);
        }
        frozen.thaw();
        let end = now + wait.as_nanos() as u64;
        while hotspot::is_collecting(heap) && monotonic() < end {
            std::thread::sleep(LOOKS_EVERY);
        }
    }
}

/// Ends the JVM at once, as `--exit` asks: a graceful end would delete files that the image needs.
pub fn halt() -> ! {
    hotspot::remove_announcements();
    hotfork_frozen::syscall::exit_group(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_was_written_is_counted() {
        let before = anonymous_pages().unwrap();
        let written = std::hint::black_box(vec![1u8; 64 << 20]);
        let after = anonymous_pages().unwrap();
        assert!(after > before + 8_000, "{before} pages, then {after}");
        assert_eq!(written.len(), 64 << 20);
    }
}
