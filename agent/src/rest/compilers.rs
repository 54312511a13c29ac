//! The compilers finish what the application has asked of them. What they have not finished, every instance would compile
//! again, in its first requests and in memory of its own.

use crate::hotspot::compilers::Compilers;
use std::fs;
use std::time::{Duration, Instant};

/// How long compilers must have had nothing to do. A task waits 50 ms at most before it is taken or dropped.
const WINDOW: Duration = Duration::from_millis(100);
/// CPU time in a window that is no work: threads that look at an empty queue.
const NOTHING: Duration = Duration::from_millis(2);
/// A service under load may keep its compilers busy for minutes.
const AT_MOST: Duration = Duration::from_secs(5);

/// Waits until the compilers are idle; false if they were not in time.
pub fn are_idle_in_time() -> bool {
    // Without a symbol table CPU time must do, in which compilers that get no processor pass for idle.
    let queues = Compilers::find_in_this_process();
    let waiting = || queues.as_ref().and_then(Compilers::waiting).unwrap_or(0);
    settles(AT_MOST, WINDOW, compiler_cpu, waiting)
}

/// Whether `used`, a growing sum, grows by next to nothing in one of the windows, and nobody waits at its end.
fn settles(
    at_most: Duration,
    window: Duration,
    mut used: impl FnMut() -> Duration,
    mut waiting: impl FnMut() -> u32,
) -> bool {
    let end = Instant::now() + at_most;
    let mut before = used();
    while Instant::now() < end {
        std::thread::sleep(window);
        let now = used();
        // HotSpot ends compiler threads that it does not need: then the sum falls.
        if now.checked_sub(before).is_some_and(|more| more <= NOTHING) && waiting() == 0 {
            return true;
        }
        before = now;
    }
    false
}

/// CPU time of the JIT's threads so far. A thread that ends meanwhile is not counted; where the kernel tells none
/// (no /proc, or one without schedstat, as gVisor's), compilers pass for idle.
fn compiler_cpu() -> Duration {
    let tasks = match fs::read_dir("/proc/self/task") {
        Ok(tasks) => tasks,
        Err(error) => {
            log::warn!("/proc/self/task: {error}; compilers are not awaited");
            return Duration::ZERO;
        }
    };
    let nanoseconds = tasks.flatten().filter_map(|task| {
        let read = |file: &str| fs::read_to_string(task.path().join(file)).ok();
        let is_compiler = read("comm")?.contains("CompilerThre");
        read("schedstat").filter(|_| is_compiler)?.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanoseconds.sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(1);

    #[test]
    fn a_pause_of_the_compilers_is_awaited() {
        let mut values = [0, 50, 90, 91, 200].map(Duration::from_millis).into_iter();
        assert!(settles(AT_MOST, SHORT, || values.next().unwrap(), || 0));
        assert_eq!(values.next(), Some(Duration::from_millis(200)), "it did not wait longer than needed");
    }

    #[test]
    fn a_sum_that_falls_is_no_rest() {
        let mut values = [50, 10, 60, 60].map(Duration::from_millis).into_iter();
        assert!(settles(AT_MOST, SHORT, || values.next().unwrap(), || 0));
        assert_eq!(values.next(), None);
    }

    #[test]
    fn waiting_has_a_bound() {
        let mut used = Duration::ZERO;
        assert!(!settles(
            10 * SHORT,
            SHORT,
            || {
                used += Duration::from_millis(10);
                used
            },
            || 0
        ));
    }

    #[test]
    fn compilers_that_get_no_processor_are_not_idle() {
        let mut queue = [3, 1, 0].into_iter();
        assert!(settles(AT_MOST, SHORT, || Duration::ZERO, || queue.next().unwrap()));
        assert_eq!(queue.next(), None);
    }
}
