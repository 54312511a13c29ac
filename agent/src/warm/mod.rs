//! The warm-up detector: watches this JVM from inside until it is warm, at less than 1 % of one processor.
//!
//! ```text
//!  threads   CPU time by kind of thread          ┐
//!  sampler   where application threads are       │ probe: one tick
//!  hotspot   compile queue, code cache, classes  ┘
//!  decision  what a window of ticks says
//!  change    whether a JVM has changed since its image was taken
//!  watch     the same, shown to `hotfork watch`
//! ```
pub mod change;
mod decision;
mod probe;
mod sampler;
mod threads;
pub mod watch;

pub use decision::{Reason, Verdict};
pub use threads::{Kind, Threads, Used, clock, thread_clock, waits};

use crate::capture::CaptureError;
use crate::jvm::Jvm;
use decision::Detector;
use hotfork_abi::Plain;
use hotfork_abi::warm::{Evidence, Tick};
use hotfork_frozen::instance::epoch;
use hotfork_frozen::syscall::monotonic;
use probe::Probe;
use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const TICK: Duration = Duration::from_millis(250);
/// While the application does nothing.
const IDLE_TICK: Duration = Duration::from_secs(2);
/// A tick with less of its CPU time than this is idle.
const IDLE: u64 = 1_000_000;
/// A tick is at least this many times as long as the look at its end takes.
const COST: u32 = 150;

/// Why the JVM is not warm yet, for the line at its end.
static REASONS: Mutex<String> = Mutex::new(String::new());

pub enum Wait {
    Warm(Evidence),
    /// The deadline came first.
    NotProven(Evidence, String),
    /// This process is an instance of the JVM that waited.
    Instance,
}

/// Waits until the JVM is warm, and `also` holds as well.
pub fn wait(jvm: &Jvm, deadline: Option<Duration>, also: impl Fn() -> bool) -> Result<Wait, CaptureError> {
    let end = deadline.and_then(|deadline| Instant::now().checked_add(deadline));
    let mut last = (Evidence::zeroed(), "nothing was seen yet".to_owned());
    note(&last.1);
    let mut detector = Detector::default();
    let warm = observe(jvm, end, |tick| {
        let judged = monotonic();
        last = match detector.push(*tick) {
            Verdict::Warm(evidence) if also() => return ControlFlow::Break(Evidence { judged, ..evidence }),
            Verdict::Warm(evidence) => (evidence, "the application has not said that it is ready".into()),
            Verdict::NotYet(evidence, reasons) => (evidence, words(&reasons)),
        };
        note(&last.1);
        ControlFlow::Continue(())
    })?;
    Ok(match warm {
        Ended::Broken(evidence) => Wait::Warm(evidence),
        Ended::TimeUp => Wait::NotProven(Evidence { judged: monotonic(), ..last.0 }, last.1),
        Ended::Instance => Wait::Instance,
    })
}

pub enum Ended<T> {
    Broken(T),
    TimeUp,
    Instance,
}

/// Shows each tick, until the observer has seen enough, or until `end`.
pub fn observe<T>(
    jvm: &Jvm,
    end: Option<Instant>,
    mut observer: impl FnMut(&Tick) -> ControlFlow<T>,
) -> Result<Ended<T>, CaptureError> {
    let born = epoch();
    let mut probe = Probe::start(jvm)?;
    let mut pause = TICK;
    loop {
        let left = end.map_or(pause, |end| end.saturating_duration_since(Instant::now()));
        std::thread::sleep(pause.min(left));
        if epoch() != born {
            return Ok(Ended::Instance);
        }
        let before = Probe::own_cpu();
        let tick = probe
            .tick(jvm)
            .map_err(|error| CaptureError::System { what: "reading /proc/self/task", reason: error.to_string() })?;
        if let ControlFlow::Break(result) = observer(&tick) {
            return Ok(Ended::Broken(result));
        }
        let least = TICK.max((Probe::own_cpu() - before) * COST);
        pause = if tick.app_cpu < IDLE { (pause * 2).min(IDLE_TICK).max(least) } else { least };
        if end.is_some_and(|end| Instant::now() >= end) {
            return Ok(Ended::TimeUp);
        }
    }
}

pub fn words(reasons: &[Reason]) -> String {
    reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn note(reasons: &str) {
    reasons.clone_into(&mut REASONS.lock().unwrap_or_else(PoisonError::into_inner));
}

/// What spoke against "warm" last.
pub fn last_reasons() -> String {
    REASONS.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
