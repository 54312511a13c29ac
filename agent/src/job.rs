//! The agent's thread: waits for the moment, captures, tells the user, tries again.

use crate::capture::{self, Again, CaptureError, Occasion, Outcome};
use crate::jvm::{JavaError, Jvm};
use crate::options::Options;
use crate::report::{self, megabytes, milliseconds};
use crate::warm::{self, Wait};
use crate::{load, ready, resnapshot, rest};
use hotfork_abi::warm::{NOT_PROVEN_WARM, WARM};
use hotfork_frozen::instance::epoch;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::time::Duration;

pub struct Job {
    pub options: Options,
    pub moment: Moment,
}

#[derive(Clone, Copy)]
pub enum Moment {
    /// Somebody asks for it now.
    Now,
    After(Duration),
    /// When the application says so, or this long after the start.
    Ready {
        deadline: Option<Duration>,
    },
    /// When the detector finds the JVM warm, and with `ready` the application has said so too; or this long after the
    /// start.
    Warm {
        deadline: Option<Duration>,
        ready: bool,
    },
}

impl Moment {
    /// Waits for it. What the image says about why it was taken; `None` in an instance, which was promised nothing.
    fn wait(self, jvm: &Jvm) -> Result<Option<Occasion>, CaptureError> {
        let words = match self {
            Self::Now => "asked for".into(),
            Self::After(delay) => {
                std::thread::sleep(delay);
                format!("{delay:?} after the start")
            }
            Self::Ready { deadline } => match (ready::wait(deadline), deadline) {
                (false, Some(deadline)) => format!("not ready at the deadline, {deadline:?} after the start"),
                _ => "ready, said the application".into(),
            },
            Self::Warm { deadline, ready } => return warm_occasion(jvm, deadline, ready),
        };
        Ok(Some(Occasion::new(words)))
    }
}

fn warm_occasion(jvm: &Jvm, deadline: Option<Duration>, ready: bool) -> Result<Option<Occasion>, CaptureError> {
    let (words, evidence) = match warm::wait(jvm, deadline, || !ready || ready::is_said())? {
        Wait::Instance => return Ok(None),
        Wait::Warm(evidence) if ready => ("warm, and ready, said the application".into(), evidence),
        Wait::Warm(evidence) => ("warm".into(), evidence),
        Wait::NotProven(evidence, reasons) => {
            let deadline = deadline.unwrap_or_default();
            let what = if evidence.verdict == WARM { "warm, but not ready" } else { "not proven warm" };
            (format!("{what} at the deadline, {deadline:?} after the start: {reasons}"), evidence)
        }
    };
    Ok(Some(Occasion { evidence, ..Occasion::new(words) }))
}

impl Job {
    /// Nobody will ask again.
    fn is_promised(&self) -> bool {
        !matches!(self.moment, Moment::Now)
    }
}

const ATTEMPTS: u32 = 3;
const BETWEEN_ATTEMPTS: Duration = Duration::from_secs(10);
/// How often an image is taken again because its trial was poor.
const POOR_AGAIN: u32 = 2;

/// A capture is promised (`when=after`, `warm`, `ready`) and has not been made.
static PENDING: AtomicBool = AtomicBool::new(false);
/// Which instance it was promised for.
static PROMISED_IN: AtomicU32 = AtomicU32::new(0);
/// A capture is under way.
static BUSY: AtomicBool = AtomicBool::new(false);

pub fn start(jvm: &Jvm, job: Job) -> Result<(), JavaError> {
    if job.is_promised() {
        PENDING.store(true, SeqCst);
        PROMISED_IN.store(epoch(), SeqCst);
    }
    jvm.spawn("Hotfork", Box::new(move |jvm| run(jvm, &job)))
}

pub fn run(jvm: &Jvm, job: &Job) {
    let born = epoch();
    let occasion = match job.moment.wait(jvm) {
        Ok(Some(occasion)) => occasion,
        Ok(None) => return,
        Err(error) => {
            PENDING.store(false, SeqCst);
            load::end();
            report::line(&format!("{error}; the JVM goes on, no image will be made"));
            return;
        }
    };
    let taken = attempt(jvm, job, &occasion, "no image was made");
    if epoch() != born || !job.is_promised() {
        return;
    }
    if !taken {
        PENDING.store(false, SeqCst);
        load::end();
    } else if job.options.resnapshot {
        resnapshot::go_on(jvm, job, occasion.evidence);
    }
}

/// Tries until the image is there; false if it is not in the end, and `otherwise` has been told. In an instance neither
/// means anything.
pub fn attempt(jvm: &Jvm, job: &Job, occasion: &Occasion, otherwise: &str) -> bool {
    let born = epoch();
    let attempts = if job.is_promised() { ATTEMPTS } else { 1 };
    // One that is not warm at its deadline is what it is, and so is the moment that somebody wants as it is.
    let is_what_it_is = occasion.evidence.verdict == NOT_PROVEN_WARM || !(job.is_promised() || job.options.quiesce);
    let tries_left = if is_what_it_is { 0 } else { POOR_AGAIN };
    let occasion = Occasion { again: Again { better_than: 0, tries_left }, ..occasion.clone() };
    for attempt in 1..=attempts {
        // An image may be taken of a JVM that waits for another moment. Its instances were promised nothing.
        if epoch() != born {
            return false;
        }
        match attempt_once(jvm, job, &occasion) {
            Ok(None) => return true,
            Ok(Some(poor)) => {
                take_again(jvm, job, &occasion, poor);
                return true;
            }
            Err(error) if job.options.control.is_some() => {
                whoever_asked_is_told(job, &error);
                return false;
            }
            Err(error) if attempt < attempts => {
                report::line(&format!("{error}; trying again in {} s", BETWEEN_ATTEMPTS.as_secs()));
                std::thread::sleep(BETWEEN_ATTEMPTS);
            }
            Err(error) => report::line(&format!("{error}; the JVM goes on, {otherwise}")),
        }
    }
    false
}

/// An image whose trial was poor, which cost so much, is there. The JVM serves on, as before every capture, and so compiles what the
/// trial's instance had to; then it is taken again, and stays where the new one is no better.
///
/// Not from the trial's instance: what that writes is thrown away, its ports are others, and its clients are gone.
fn take_again(jvm: &Jvm, job: &Job, occasion: &Occasion, poor: u64) {
    let (born, mut better_than) = (epoch(), poor);
    for tries_left in (0..POOR_AGAIN).rev() {
        // As in `attempt`: an instance was promised nothing.
        if epoch() != born {
            return;
        }
        let occasion = Occasion { again: Again { better_than, tries_left }, ..occasion.clone() };
        match attempt_once(jvm, job, &occasion) {
            Ok(Some(poor)) => better_than = poor,
            Ok(None) => return,
            Err(error) => {
                match job.options.control {
                    Some(_) => whoever_asked_is_told(job, &error),
                    None => report::line(&format!("{error}; the JVM goes on, its image stays as it is")),
                }
                settle(job);
                return;
            }
        }
    }
}

/// No other image follows.
fn settle(job: &Job) {
    if !PENDING.load(SeqCst) {
        load::end();
    }
    if job.options.exit {
        capture::halt();
    }
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

/// A capture is under way until this is dropped.
struct Busy;

impl Busy {
    fn begin() -> Result<Self, CaptureError> {
        if BUSY.swap(true, SeqCst) { Err(CaptureError::Busy) } else { Ok(Self) }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        BUSY.store(false, SeqCst);
    }
}

/// What a poor trial cost, where the image is to be taken again.
fn attempt_once(jvm: &Jvm, job: &Job, occasion: &Occasion) -> Result<Option<u64>, CaptureError> {
    let busy = Busy::begin()?;
    let (rest, _resumed_at_the_end) = match job.options.quiesce {
        true => rest::bring_to_rest(jvm),
        false => (String::new(), load::pause()),
    };
    let occasion = Occasion { rest, ..occasion.clone() };
    let outcome = capture::capture(jvm, &job.options, &occasion);
    drop(busy);
    let Again { better_than, tries_left } = occasion.again;
    let poor = match outcome? {
        Outcome::Instance => {
            PENDING.store(false, SeqCst);
            return Ok(None);
        }
        Outcome::Kept { why } => {
            tell(job, &format!("the image was taken again and is no better ({why}): the one that is there stays"));
            Some(better_than)
        }
        Outcome::Saved { image, size, stopped, saving, trial_failed, poor } => {
            if job.is_promised() {
                PENDING.store(false, SeqCst);
                ready::forget();
            }
            let trial = match poor {
                _ if !trial_failed.is_empty() => format!("; its trial failed: {trial_failed}"),
                None => String::new(),
                Some(cost) => {
                    let again = if tries_left > 0 { ", so it is taken again" } else { "" };
                    format!("; its trial was poor: first request and compilers took {}{again}", milliseconds(cost))
                }
            };
            tell(
                job,
                &format!(
                    "image {} ({}), the JVM stood still for {}, saving took {}{trial}",
                    image.display(),
                    megabytes(size),
                    milliseconds(stopped),
                    milliseconds(saving)
                ),
            );
            poor
        }
    };
    let again = poor.filter(|_| tries_left > 0);
    if again.is_none() {
        settle(job);
    }
    Ok(again)
}

/// Whoever asked by a socket is told there.
fn tell(job: &Job, line: &str) {
    if !job.options.quiet && job.options.control.is_none() {
        report::line(line);
    }
}

/// VMDeath: says so when an image was promised.
pub fn the_jvm_ends() {
    if PENDING.swap(false, SeqCst) && PROMISED_IN.load(SeqCst) == epoch() {
        match warm::last_reasons() {
            reasons if reasons.is_empty() => {
                report::line("the JVM ended before the capture was due: no image was made")
            }
            reasons => report::line(&format!("the JVM ended before it was proven warm: no image was made ({reasons})")),
        }
    }
}
