//! Rest before a capture: the application goes on, and what it has set going in the JVM comes to an end.
//!
//! The order was measured. A full collection re-arms the entry barrier of every compiled method (since JDK 20 with
//! every collector), and its next call writes to the code itself: a page of its own for each method that an instance calls.
//! So the collection comes first, and the application serves on until its code is disarmed; nothing is collected after that.

mod collection;
mod compilers;
mod monitors;

use crate::hotspot::flags::Flags;
use crate::hotspot::vmstructs::VmStructs;
use crate::jvm::Jvm;
use crate::warm::{Threads, Used};
use hotfork_frozen::instance::epoch;
use std::time::{Duration, Instant};

/// How long the application's load is looked at first.
const LOOK: Duration = Duration::from_millis(500);
/// An application that uses less than a twentieth of a processor will not call its methods in time.
const BUSY: u32 = 20;
/// The application's CPU time after which its code is disarmed again.
const SERVED: Duration = Duration::from_millis(750);
/// HotSpot's pool of arena chunks is emptied every five seconds (ChunkPoolCleaner): what the compilers used goes back to
/// malloc. Instances would do it in their first moments, and touch 1,500 pages for it.
const CHUNK_POOL: Duration = Duration::from_secs(6);
const SETTLES_WITHIN: Duration = Duration::from_secs(20);

/// What was done, for the image to tell.
pub fn rest(jvm: &Jvm) -> Vec<String> {
    let mut done = Vec::new();
    let flags = VmStructs::open().and_then(|structs| Flags::find(&structs));
    let mut threads = Threads::default();
    let (begin, born) = (Instant::now(), epoch());
    match (&flags, is_busy(&mut threads)) {
        (Some(flags), true) => match collection::collect(jvm, flags) {
            Ok(took) => {
                done.push(format!("collected in {took:.1?}"));
                done.push(settle(&mut threads, begin, born));
            }
            Err(why) => done.push(format!("not collected: {why}")),
        },
        (None, _) => done.push("not collected: HotSpot's flags were not found".into()),
        (_, false) => done.push("not collected: the application is idle, and would meet its code re-armed".into()),
    }
    if let Some(flags) = &flags
        && monitors::deflate(flags)
    {
        done.push("idle monitors deflated".into());
    }
    done.push(if compilers::are_idle_in_time() { "compilers idle" } else { "compilers still at work" }.into());
    done
}

fn is_busy(threads: &mut Threads) -> bool {
    let used = threads.look().and_then(|_| {
        std::thread::sleep(LOOK);
        threads.look()
    });
    used.is_ok_and(|Used { app, .. }| Duration::from_nanos(app) * BUSY >= LOOK)
}

/// Lets the application serve.
fn settle(threads: &mut Threads, begin: Instant, born: u32) -> String {
    let mut served = Duration::ZERO;
    while begin.elapsed() < SETTLES_WITHIN && epoch() == born {
        std::thread::sleep(LOOK);
        served += threads.look().map_or(Duration::ZERO, |used| Duration::from_nanos(used.app));
        if served >= SERVED && begin.elapsed() >= CHUNK_POOL {
            return format!("served on for {:.1?}", begin.elapsed());
        }
    }
    format!("served too little in {:.1?}: its code is not all disarmed", begin.elapsed())
}
