//! Latencies recorded under load, and where they became steady.

use crate::pelt;
use crate::statistics::summary;
use serde::Serialize;
use std::ops::Range;

/// One request: when it was answered (CLOCK_MONOTONIC), and how long it took.
#[derive(Clone, Copy, Debug)]
pub struct Answered {
    pub at: u64,
    pub nanoseconds: u64,
}

/// What was answered within a quarter of a second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Window {
    /// CLOCK_MONOTONIC.
    pub begin: u64,
    pub median: f64,
    pub requests: usize,
}

pub const WINDOW: u64 = 250_000_000;
/// Over logarithms of medians. A step between two segments of n windows each saves n/2 of its square: one by a half counts
/// after two seconds, one by a fifth after nine. Half of it finds changes in the noise of a shared virtual machine.
const PENALTY: f64 = 0.6;
/// Windows of a segment.
const SHORTEST: usize = 4;
/// A segment whose mean is less than a tenth above the last one's is as steady. One that is faster is, too: the machine has
/// become slower since.
const ALIKE: f64 = 0.1;
/// The last segment, with those like it before, lasts so long at least, or nothing was steady.
const STEADY: u64 = 5_000_000_000;

/// Windows in which nothing was answered are left out.
pub fn windows(answers: &mut [Answered], begin: u64) -> Vec<Window> {
    answers.sort_by_key(|answer| answer.at);
    let number = |answer: &Answered| answer.at.saturating_sub(begin) / WINDOW;
    answers
        .chunk_by(|one, other| number(one) == number(other))
        .filter_map(|chunk| {
            let median = summary(chunk.iter().map(|answer| answer.nanoseconds as f64))?.median;
            Some(Window { begin: begin + number(chunk.first()?) * WINDOW, median, requests: chunk.len() })
        })
        .collect()
}

/// When latency became what it was at the end, by PELT. Not before `load_is_so`, when the load became of the kind it
/// was at the end. What lies in `left_out` (the capture itself, which competes for CPUs) does not count.
pub fn steady_since(windows: &[Window], load_is_so: u64, left_out: Option<Range<u64>>) -> Option<u64> {
    let touches = |window: &Window, range: &Range<u64>| window.begin < range.end && range.start < window.begin + WINDOW;
    let judged = windows.iter().filter(|window| window.begin >= load_is_so);
    let judged = judged.filter(|window| !left_out.as_ref().is_some_and(|range| touches(window, range)));
    let judged: Vec<&Window> = judged.collect();
    let series: Vec<f64> = judged.iter().map(|window| window.median.ln()).collect();
    let mut bounds = vec![0];
    bounds.extend(pelt::changes(&series, PENALTY, SHORTEST));
    let mut end = series.len();
    let mut means = Vec::new();
    for &begin in bounds.iter().rev() {
        means.push((begin, series.get(begin..end)?.iter().sum::<f64>() / (end - begin) as f64));
        end = begin;
    }
    let &(_, steady) = means.first()?;
    let alike = means.iter().take_while(|(_, mean)| mean - steady < (1.0 + ALIKE).ln());
    let since = judged.get(alike.last()?.0)?.begin;
    let lasted = judged.last()?.begin + WINDOW - since;
    (lasted >= STEADY).then_some(since)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds at a latency in milliseconds, one after the other.
    fn course(parts: &[(u64, f64)]) -> Vec<Window> {
        let mut begin = 0;
        let mut windows = Vec::new();
        for &(seconds, milliseconds) in parts {
            for number in 0..seconds * 4 {
                // A tenth of noise.
                let median = milliseconds * 1e6 * (1.0 + (number % 3) as f64 * 0.05);
                windows.push(Window { begin, median, requests: 100 });
                begin += WINDOW;
            }
        }
        windows
    }

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn steady_since_the_last_change() {
        let windows = course(&[(3, 20.0), (5, 6.0), (20, 2.0)]);
        assert_eq!(steady_since(&windows, 0, None), Some(8 * SECOND));
    }

    #[test]
    fn small_changes_are_no_end_of_steadiness() {
        let windows = course(&[(3, 20.0), (20, 2.1), (20, 2.0)]);
        assert_eq!(steady_since(&windows, 0, None), Some(3 * SECOND));
    }

    #[test]
    fn a_machine_that_becomes_slower_is_no_end_of_steadiness() {
        let windows = course(&[(3, 20.0), (20, 2.0), (20, 2.5)]);
        assert_eq!(steady_since(&windows, 0, None), Some(3 * SECOND));
    }

    #[test]
    fn a_load_of_another_kind_before_does_not_count() {
        let windows = course(&[(3, 0.5), (4, 8.0), (20, 2.0)]);
        assert_eq!(steady_since(&windows, 3 * SECOND, None), Some(7 * SECOND));
    }

    #[test]
    fn the_capture_is_left_out() {
        let windows = course(&[(3, 20.0), (10, 2.0), (2, 5.0), (10, 2.0)]);
        assert_eq!(steady_since(&windows, 0, None), Some(15 * SECOND));
        assert_eq!(steady_since(&windows, 0, Some(13 * SECOND..15 * SECOND)), Some(3 * SECOND));
    }

    #[test]
    fn what_changes_to_the_end_was_never_steady() {
        assert_eq!(steady_since(&course(&[(20, 20.0), (3, 2.0)]), 0, None), None);
        assert_eq!(steady_since(&[], 0, None), None);
    }

    #[test]
    fn windows_hold_medians_of_what_was_answered_in_them() {
        let answer = |at, nanoseconds| Answered { at: 10 + at, nanoseconds };
        let mut answers = [answer(WINDOW * 2, 7), answer(1, 1), answer(3, 3), answer(2, 8)];
        let expected = [
            Window { begin: 10, median: 3.0, requests: 3 },
            Window { begin: 10 + 2 * WINDOW, median: 7.0, requests: 1 },
        ];
        assert_eq!(windows(&mut answers, 10), expected);
    }
}
