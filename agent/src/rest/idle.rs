//! What the JVM does beside the application comes to an end. What the compilers have not finished, every instance would compile again,
//! in its first requests and in memory of its own. The same goes for work in the background: the sweeper of JDK 17
//! writes to each compiled method (25 MB of a Spring service's code became each instance's own), concurrent marking to its bitmaps.

use crate::hotspot::compilers::Compilers;
use crate::warm::{Kind, Threads};
use std::time::{Duration, Instant};

/// How long compilers must have had nothing to do. A task waits 50 ms at most before it is taken or dropped.
const WINDOW: Duration = Duration::from_millis(100);
/// CPU time in a window that is no work: threads that look at an empty queue.
const NOTHING: Duration = Duration::from_millis(2);
/// A service under load may keep its compilers busy for minutes.
const AT_MOST: Duration = Duration::from_secs(5);

/// Waits until the compilers are idle; false if they were not in time.
pub fn compilers_in_time() -> bool {
    // Without a symbol table CPU time must do, in which compilers that get no processor pass for idle.
    let queues = Compilers::find_in_this_process();
    let mut threads = Threads::default();
    settle(AT_MOST, WINDOW, || {
        let used =
            threads.look().inspect_err(|error| log::warn!("/proc/self/task: {error}; compilers are not awaited"));
        let waiting = queues.as_ref().and_then(Compilers::waiting).unwrap_or(0);
        (used.map_or(Duration::ZERO, |used| Duration::from_nanos(used.jit)), waiting)
    })
}

const LULL_WITHIN: Duration = Duration::from_millis(100);
/// Compilers are waited for longer: what they are at costs an instance more.
const PAUSE_WITHIN: Duration = Duration::from_millis(500);
const LOOKS_EVERY: Duration = Duration::from_micros(500);

/// A moment in which the application's threads all wait for something, and compilers have nothing to do: what is in hand at a capture
/// every instance ends.
pub struct Lull {
    queues: Option<Compilers>,
    threads: Threads,
}

impl Lull {
    /// Reads libjvm's symbols, a tenth of a second, and which threads there are.
    pub fn prepare() -> Self {
        let (queues, mut threads) = (Compilers::find_in_this_process(), Threads::default());
        if let Err(error) = threads.look() {
            log::warn!("/proc/self/task: {error}; no lull is awaited");
        }
        Self { queues, threads }
    }

    /// Waits for it; where the application is busy, for a pause of the compilers alone, and not for ever. Asks malloc for nothing, as it
    /// comes after the trim. How long it waited, if it found a lull.
    pub fn wait(&self) -> Option<Duration> {
        let begin = Instant::now();
        loop {
            let waiting = self.queues.as_ref().and_then(Compilers::waiting).unwrap_or(0);
            let compiles = waiting > 0 || self.threads.run(Kind::Jit);
            let in_time = begin.elapsed() < LULL_WITHIN;
            let works = in_time && self.threads.run(Kind::Application);
            if !(compiles || works) || begin.elapsed() >= PAUSE_WITHIN {
                log::debug!("waited {:?} for a lull, compilers at work: {compiles}", begin.elapsed());
                return (in_time && !compiles).then(|| begin.elapsed());
            }
            std::thread::sleep(LOOKS_EVERY);
        }
    }
}

/// The application's garbage may give a collector work for ever.
const BACKGROUND_AT_MOST: Duration = Duration::from_secs(2);

/// Waits until the JVM's own threads (sweeper, collector) are idle; false if they were not in time.
pub fn background_in_time() -> bool {
    let mut threads = Threads::default();
    settle(BACKGROUND_AT_MOST, WINDOW, || {
        let used = threads.look().map_or(Duration::ZERO, |used| Duration::from_nanos(used.jvm));
        (used, 0)
    })
}

/// Whether there is a window in which next to nothing is used, and nobody waits at its end. What `look` says first is of the
/// time before.
fn settle(at_most: Duration, window: Duration, mut look: impl FnMut() -> (Duration, u32)) -> bool {
    let end = Instant::now() + at_most;
    look();
    while Instant::now() < end {
        std::thread::sleep(window);
        let (used, waiting) = look();
        if used <= NOTHING && waiting == 0 {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(1);
    const BUSY: Duration = Duration::from_millis(50);

    #[test]
    fn a_pause_of_the_compilers_is_awaited() {
        let mut looks = [(BUSY, 0), (BUSY, 0), (SHORT, 0), (BUSY, 0)].into_iter();
        assert!(settle(AT_MOST, SHORT, || looks.next().unwrap()));
        assert_eq!(looks.len(), 1, "it waited no longer than needed");
    }

    #[test]
    fn what_was_used_before_does_not_count() {
        let mut looks = [(SHORT, 0), (BUSY, 0), (SHORT, 0)].into_iter();
        assert!(settle(AT_MOST, SHORT, || looks.next().unwrap()));
        assert_eq!(looks.len(), 0);
    }

    #[test]
    fn waiting_has_a_bound() {
        assert!(!settle(10 * SHORT, SHORT, || (BUSY, 0)));
    }

    #[test]
    fn compilers_that_get_no_processor_are_not_idle() {
        let mut looks = [(SHORT, 3), (SHORT, 3), (SHORT, 1), (SHORT, 0)].into_iter();
        assert!(settle(AT_MOST, SHORT, || looks.next().unwrap()));
        assert_eq!(looks.len(), 0);
    }
}
