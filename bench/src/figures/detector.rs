//! Of each subject: how often the detector was right. Of the idle ones: that it said nothing.

use super::{Figure, verdict};
use crate::measure::detector::{Detector, EARLIEST, Idle, LATEST, Run};
use crate::statistics::summary;

/// Of ten runs so many must be within.
const OF_TEN: usize = 8;

pub fn of(detector: &Detector) -> Vec<Figure> {
    let mut subjects: Vec<&str> = Vec::new();
    for run in &detector.runs {
        if !subjects.contains(&run.subject) {
            subjects.push(run.subject);
        }
    }
    let of_subject = |subject: &&str| {
        let runs: Vec<&Run> = detector.runs.iter().filter(|run| run.subject == *subject).collect();
        figure(subject, &runs)
    };
    subjects.iter().map(of_subject).chain(detector.idle.iter().map(idle)).collect()
}

fn figure(subject: &str, runs: &[&Run]) -> Figure {
    let within = runs.iter().filter(|run| run.within()).count();
    let median = summary(runs.iter().filter_map(|run| run.off()));
    let median = median.map_or_else(|| "none judged".into(), |off| format!("median {:+.0} %", off.median * 100.0));
    let mut jdks: Vec<&str> = runs.iter().map(|run| run.jdk.as_str()).collect();
    jdks.sort_unstable();
    jdks.dedup();
    Figure {
        what: "detector's verdict after the begin of steady latency".into(),
        setting: format!("{subject}, JDK {}", jdks.join(", ")),
        measured: format!("{within} of {} within, {median}", runs.len()),
        goal: format!("{OF_TEN} of 10 within {:+.0} to {:+.0} %", EARLIEST * 100.0, LATEST * 100.0),
        verdict: verdict(within * 10 >= runs.len() * OF_TEN),
    }
}

fn idle(idle: &Idle) -> Figure {
    Figure {
        what: "detector, nobody asks for anything".into(),
        setting: format!("{}, JDK {}, {} s", idle.subject, idle.jdk, idle.seconds),
        measured: if idle.verdict { "a verdict".into() } else { "no verdict".into() },
        goal: "no verdict".into(),
        verdict: verdict(!idle.verdict),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::Verdict;

    fn run(verdict: u64) -> Run {
        let second = 1_000_000_000;
        Run {
            subject: "shop",
            jdk: "21".into(),
            load_began: 0,
            windows: Vec::new(),
            verdict: Some(verdict * second),
            steady: Some(20 * second),
            steady_as_it_is: None,
        }
    }

    #[test]
    fn eight_of_ten_must_be_within() {
        let figures = |verdicts: &[u64]| {
            let runs = verdicts.iter().map(|&verdict| run(verdict)).collect();
            of(&Detector { when: "warm".into(), runs, idle: Vec::new() })
        };
        let reached = &figures(&[20, 21, 22, 20, 19, 20, 25, 20, 30, 10])[0];
        assert_eq!((reached.verdict, reached.measured.as_str()), (Verdict::Reached, "8 of 10 within, median +0 %"));
        assert_eq!(figures(&[20, 21, 22, 20, 19, 20, 26, 20, 30, 10])[0].verdict, Verdict::Missed);
    }

    #[test]
    fn a_verdict_on_an_idle_service_is_missed() {
        let one = |verdict| idle(&Idle { subject: "shop", jdk: "21".into(), seconds: 60, verdict }).verdict;
        assert_eq!((one(false), one(true)), (Verdict::Reached, Verdict::Missed));
    }
}
