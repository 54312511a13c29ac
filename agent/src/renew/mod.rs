//! What a restored instance learns anew before its application runs: threads come back meanwhile, and those of the application
//! stay suspended.
//!
//! Suspended threads may hold Java monitors, so renewal writes fields and calls only methods that
//! take no lock. Classes are looked up before the capture, and what is to be written is found when the application's threads are
//! suspended, so that an instance asks next to nothing: each field that it had to ask for was three or four page faults.
//! A class that nobody has initialised has no state to renew.

mod allocator;
mod entries;
mod environment;
mod files;
mod java;
mod names;
mod objects;
mod process;
mod random;
mod times;

pub use allocator::{Allocator, begin, written};

use crate::capture::Suspension;
use crate::hotspot::AttachPath;
use crate::jvm::{JavaError, Jvm};
use environment::Answers;
use files::DeleteOnExit;
use hotfork_abi::record::PerfMemory;
use hotfork_abi::restore::TIME_RENEWED;
use hotfork_frozen::instance::{arguments, first_release, stamp, wait_for_first_moments};
use hotfork_frozen::later;
use java::KnownClasses;
use process::{OwnHandle, StartTimes};
use random::RandomState;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

/// What an instance writes.
pub struct Found<'a> {
    environment: Option<Answers<'a>>,
    handle: Option<OwnHandle<'a>>,
    files: Option<DeleteOnExit>,
    random: RandomState,
}

/// Made before the capture, so that an instance searches nothing.
pub struct Renewal {
    classes: KnownClasses,
    start_times: StartTimes,
    attach: Option<AttachPath>,
    perf: PerfMemory,
}

impl Renewal {
    pub fn plan(jvm: &Jvm, perf: PerfMemory) -> Result<Self, JavaError> {
        let classes = KnownClasses::look_up(jvm)?;
        let start_times = StartTimes::look_up(jvm, &classes)?;
        environment::rehearse(jvm, &classes)?;
        Ok(Self { classes, start_times, attach: AttachPath::find(), perf })
    }

    /// Finds what an instance will write. References belong to the caller's frame.
    pub fn find(&self, jvm: &Jvm, suspension: &Suspension) -> Result<Found<'_>, JavaError> {
        Ok(Found {
            environment: environment::find(jvm, &self.classes)?,
            handle: OwnHandle::find(jvm, &self.classes)?,
            files: DeleteOnExit::find(jvm, &self.classes)?,
            random: RandomState::find(jvm, &self.classes, suspension.everyone())?,
        })
    }

    /// In an instance. What cannot be renewed is told, and the instance goes on: each step says what
    /// would be stale. Random state that stays shared ends the instance instead.
    pub fn run(&self, jvm: &Jvm, found: &Found<'_>) {
        let arguments = arguments();
        names::renew(&arguments, self.attach, &self.perf);
        if let Some(files) = &found.files {
            files.forget(jvm);
        }
        let steps: [(&str, Result<(), JavaError>); 3] = [
            ("environment", environment::renew(jvm, &self.classes, &arguments, found.environment.as_ref())),
            ("process id", found.handle.as_ref().map_or(Ok(()), |handle| handle.renew(jvm, &self.start_times))),
            ("random state", found.random.renew(jvm)),
        ];
        for (what, result) in steps {
            let Err(error) = result else { continue };
            crate::report::line(&format!("the {what} of this instance could not be renewed: {error}"));
            if what == "random state" {
                hotfork_frozen::instance::give_up("two instances must not share their random state", 0);
            }
        }
        remember_former_vdso();
    }

    /// All threads are there.
    pub fn release(&self) {
        first_release();
        stamp(TIME_RENEWED);
    }

    /// The application runs.
    pub fn done(&self) {
        times::running();
        UNFINISHED.store(true, SeqCst);
    }
}

/// This process is an instance, and `finish` is still to be called.
static UNFINISHED: AtomicBool = AtomicBool::new(false);

/// In an instance, by whoever of the agent's threads has nothing else to do first: waits until the application has had its first moments,
/// brings in what it will need, and tells where the time went, if the restore asked.
pub fn finish() {
    if UNFINISHED.swap(false, SeqCst) {
        wait_for_first_moments();
        later::finish();
        allocator::end();
        times::report();
    }
}

/// Where the captured process had its vdso: ordinary memory with stubs in an instance.
static FORMER_VDSO: Mutex<Vec<(u64, u64)>> = Mutex::new(Vec::new());
static CURRENT_VDSO: Mutex<Option<(u64, u64)>> = Mutex::new(None);

pub fn former_vdso() -> Vec<(u64, u64)> {
    let current = crate::hotspot::maps().ok().and_then(|maps| {
        maps.iter().find(|mapping| mapping.path == "[vdso]").map(|mapping| (mapping.from, mapping.to))
    });
    *CURRENT_VDSO.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = current;
    FORMER_VDSO.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
}

fn remember_former_vdso() {
    if let Some(range) = CURRENT_VDSO.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take() {
        FORMER_VDSO.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(range);
    }
}
