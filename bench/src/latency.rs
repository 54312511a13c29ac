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
    /// CPU time of the reference work that its client did last.
    pub reference: u64,
}

/// What was answered within a quarter of a second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Window {
    /// CLOCK_MONOTONIC.
    pub begin: u64,
    pub median: f64,
    /// Median CPU time of the reference work meanwhile, in nanoseconds: how slow the machine was.
    pub reference: f64,
    pub requests: usize,
}

impl Window {
    /// Latency in units of the machine's speed at the time.
    pub fn relative(&self) -> f64 {
        self.median / self.reference
    }

    pub fn as_it_is(&self) -> f64 {
        self.median
    }
}

pub const WINDOW: u64 = 250_000_000;
/// Over logarithms of medians. A step between two segments of n windows each saves n/2 of its square: one by a half counts after half
/// a second, one by a fifth after three.
const PENALTY: f64 = 0.2;
/// Windows of a segment.
const SHORTEST: usize = 4;
/// What is less than so much above the level that was reached in the end is steady. Penalties from 0.1 to 0.4 and alike from 0.1 to 0.25
/// find the same within a tenth, where latency is seen relative to the machine's speed (28 runs).
const ALIKE: f64 = 0.15;
/// A segment is followed by so much that is steady in the mean, or it was an accident.
const STEADY: u64 = 5_000_000_000;
/// What ends this many times faster than its level was never steady.
const STILL_FALLING: f64 = 2.0;

/// Windows in which nothing was answered are left out.
pub fn windows(answers: &mut [Answered], begin: u64) -> Vec<Window> {
    answers.sort_by_key(|answer| answer.at);
    let number = |answer: &Answered| answer.at.saturating_sub(begin) / WINDOW;
    answers
        .chunk_by(|one, other| number(one) == number(other))
        .filter_map(|chunk| {
            let median = summary(chunk.iter().map(|answer| answer.nanoseconds as f64))?.median;
            let reference = summary(chunk.iter().map(|answer| answer.reference as f64))?.median;
            Some(Window { begin: begin + number(chunk.first()?) * WINDOW, median, reference, requests: chunk.len() })
        })
        .collect()
}

/// When latency (seen by `of`) became what it was in the end, by PELT: the level is the median of the last half. Not before `load_is_so`, when the load
/// became of the kind it was at the end. What lies in `left_out` (the capture itself, which competes for CPUs) does not count.
pub fn steady_since(
    windows: &[Window],
    of: fn(&Window) -> f64,
    load_is_so: u64,
    left_out: Option<Range<u64>>,
) -> Option<u64> {
    let touches = |window: &Window, range: &Range<u64>| window.begin < range.end && range.start < window.begin + WINDOW;
    let judged = windows.iter().filter(|window| window.begin >= load_is_so);
    let judged = judged.filter(|window| !left_out.as_ref().is_some_and(|range| touches(window, range)));
    let judged: Vec<&Window> = judged.collect();
    let series: Vec<f64> = judged.iter().map(|window| of(window).ln()).collect();
    let steady = (STEADY / WINDOW) as usize;
    let level = summary(series.get(series.len() / 2..)?.iter().copied())?.median;
    if level - mean(series.get(series.len().checked_sub(steady)?..)?) > STILL_FALLING.ln() {
        return None;
    }
    let is_alike = |part: &[f64]| mean(part) - level < (1.0 + ALIKE).ln();
    let mut bounds = vec![0];
    bounds.extend(pelt::changes(&series, PENALTY, SHORTEST));
    bounds.push(series.len());
    let segment = bounds.windows(2).find(|bounds| {
        let followed = series.get(bounds[0]..bounds[0] + steady);
        is_alike(&series[bounds[0]..bounds[1]]) && followed.is_some_and(is_alike)
    })?;
    Some(judged.get(segment[0])?.begin)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
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
                windows.push(Window { begin, median, reference: 1.0, requests: 100 });
                begin += WINDOW;
            }
        }
        windows
    }

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn steady_since_the_last_change() {
        let windows = course(&[(3, 20.0), (5, 6.0), (20, 2.0)]);
        assert_eq!(steady_since(&windows, Window::as_it_is, 0, None), Some(8 * SECOND));
    }

    #[test]
    fn small_changes_are_no_end_of_steadiness() {
        let windows = course(&[(3, 20.0), (20, 2.1), (20, 2.0)]);
        assert_eq!(steady_since(&windows, Window::as_it_is, 0, None), Some(3 * SECOND));
    }

    #[test]
    fn a_machine_that_is_faster_for_a_while_is_no_end_of_steadiness() {
        let windows = course(&[(3, 20.0), (10, 2.0), (5, 1.6), (12, 2.0)]);
        assert_eq!(steady_since(&windows, Window::as_it_is, 0, None), Some(3 * SECOND));
        let windows = course(&[(3, 20.0), (20, 2.0), (3, 1.6)]);
        assert_eq!(steady_since(&windows, Window::as_it_is, 0, None), Some(3 * SECOND));
    }

    #[test]
    fn a_machine_that_was_slower_at_first_is_allowed_for() {
        let mut windows = course(&[(3, 30.0), (10, 3.0), (30, 2.0)]);
        for window in windows.iter_mut().filter(|window| window.begin < 13 * SECOND) {
            window.reference = 1.5;
        }
        assert_eq!(steady_since(&windows, Window::relative, 0, None), Some(3 * SECOND));
        assert_eq!(steady_since(&windows, Window::as_it_is, 0, None), Some(13 * SECOND));
    }

    #[test]
    fn a_moment_of_luck_is_no_begin_of_steadiness() {
        let windows = course(&[(3, 20.0), (2, 2.0), (5, 6.0), (20, 2.0)]);
        assert_eq!(steady_since(&windows, Window::as_it_is, 0, None), Some(10 * SECOND));
    }

    #[test]
    fn a_machine_that_becomes_slower_is_no_end_of_steadiness() {
        let windows = course(&[(3, 20.0), (20, 2.0), (20, 2.5)]);
        assert_eq!(steady_since(&windows, Window::as_it_is, 0, None), Some(3 * SECOND));
    }

    #[test]
    fn a_load_of_another_kind_before_does_not_count() {
        let windows = course(&[(3, 0.5), (4, 8.0), (20, 2.0)]);
        assert_eq!(steady_since(&windows, Window::as_it_is, 3 * SECOND, None), Some(7 * SECOND));
    }

    #[test]
    fn the_capture_is_left_out() {
        let windows = course(&[(3, 20.0), (1, 2.0), (4, 5.0), (20, 2.0)]);
        assert_eq!(steady_since(&windows, Window::as_it_is, 0, None), Some(8 * SECOND));
        assert_eq!(steady_since(&windows, Window::as_it_is, 0, Some(4 * SECOND..8 * SECOND)), Some(3 * SECOND));
    }

    #[test]
    fn what_changes_to_the_end_was_never_steady() {
        assert_eq!(steady_since(&course(&[(20, 20.0), (3, 2.0)]), Window::as_it_is, 0, None), None);
        assert_eq!(steady_since(&[], Window::as_it_is, 0, None), None);
    }

    #[test]
    fn windows_hold_medians_of_what_was_answered_in_them() {
        let answer = |at, nanoseconds| Answered { at: 10 + at, nanoseconds, reference: at };
        let mut answers = [answer(WINDOW * 2, 7), answer(1, 1), answer(3, 3), answer(2, 8)];
        let expected = [
            Window { begin: 10, median: 3.0, reference: 2.0, requests: 3 },
            Window { begin: 10 + 2 * WINDOW, median: 7.0, reference: 2.0 * WINDOW as f64, requests: 1 },
        ];
        assert_eq!(windows(&mut answers, 10), expected);
    }
}
