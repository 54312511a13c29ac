//! The agent's thread: waits for the moment, captures, tells the user, tries again.

use crate::capture::{self, CaptureError, Outcome};
use crate::jvm::{JavaError, Jvm};
use crate::options::Options;
use crate::report::{self, megabytes, milliseconds};
use hotfork_frozen::instance::epoch;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

pub struct Job {
    pub options: Options,
    /// Wait this long first; `None`: somebody asks for it now.
    pub delay: Option<Duration>,
}

/// What an instance's application has for itself before this thread ends, which takes a hundred page faults.
const FIRST_MOMENTS: Duration = Duration::from_millis(50);
const ATTEMPTS: u32 = 3;
const BETWEEN_ATTEMPTS: Duration = Duration::from_secs(10);

/// A capture is promised (`when=after`) and has not been made.
static PENDING: AtomicBool = AtomicBool::new(false);
/// A capture is under way.
static BUSY: AtomicBool = AtomicBool::new(false);

pub fn start(jvm: &Jvm, job: Job) -> Result<(), JavaError> {
    PENDING.store(job.delay.is_some(), SeqCst);
    jvm.spawn(
        "Hotfork",
        Box::new(move |jvm| {
            let before = epoch();
            run(jvm, &job);
            if epoch() != before {
                std::thread::sleep(FIRST_MOMENTS);
            }
        }),
    )
}

pub fn run(jvm: &Jvm, job: &Job) {
    if let Some(delay) = job.delay {
        std::thread::sleep(delay);
    }
    let attempts = if job.delay.is_some() { ATTEMPTS } else { 1 };
    for attempt in 1..=attempts {
        match attempt_once(jvm, job) {
            Ok(()) => return,
            Err(error) if job.options.control.is_some() => {
                whoever_asked_is_told(job, &error);
                return;
            }
            Err(error) if attempt < attempts => {
                report::line(&format!("{error}; trying again in {} s", BETWEEN_ATTEMPTS.as_secs()));
                std::thread::sleep(BETWEEN_ATTEMPTS);
            }
            Err(error) => report::line(&format!("{error}; the JVM goes on, no image was made")),
        }
    }
    PENDING.store(false, SeqCst);
}

/// Whoever asked by a socket hears why there, unless the conversation there has told already.
fn whoever_asked_is_told(job: &Job, error: &CaptureError) {
    let Some(control) = &job.options.control else { return };
    if error.ends_a_conversation() {
        return;
    }
    if let Err(unheard) = capture::tell(control, error) {
        report::line(&format!("{error}; the JVM goes on, no image was made ({unheard})"));
    }
}

fn attempt_once(jvm: &Jvm, job: &Job) -> Result<(), CaptureError> {
    if BUSY.swap(true, SeqCst) {
        return Err(CaptureError::Busy);
    }
    let outcome = capture::capture(jvm, &job.options);
    BUSY.store(false, SeqCst);
    PENDING.store(false, SeqCst);
    match outcome? {
        Outcome::Instance => {}
        Outcome::Saved { image, size, stopped, saving } => {
            if !job.options.quiet && job.options.control.is_none() {
                report::line(&format!(
                    "image {} ({}), the JVM stood still for {}, saving took {}",
                    image.display(),
                    megabytes(size),
                    milliseconds(stopped),
                    milliseconds(saving)
                ));
            }
            if job.options.exit {
                capture::halt();
            }
        }
    }
    Ok(())
}

/// VMDeath: says so when an image was promised.
pub fn the_jvm_ends() {
    if PENDING.swap(false, SeqCst) {
        report::line("the JVM ended before the capture was due: no image was made");
    }
}
