//! The figures that Hotfork is to reach, each with its goal and whether it was reached.

mod detector;
mod starting;

pub use starting::later_requests;

use crate::measure::gap::Gaps;
use crate::measure::idle::{IdleAgent, Pair};
use crate::measure::live::LiveObjects;
use crate::report::Report;
use crate::statistics::{Ratio, Summary, ratio, summary};
use crate::table::milliseconds;
use serde::Serialize;

const GAP_NS: f64 = 10e6;
const RUNNING_NS: f64 = 3e6;
const LIVE_OBJECTS_RATIO: f64 = 1.3;
const IDLE_RATIO: f64 = 1.02;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Reached,
    Missed,
    /// The interval holds both.
    Open,
}

#[derive(Serialize)]
pub struct Figure {
    pub what: String,
    pub setting: String,
    pub measured: String,
    pub goal: String,
    pub verdict: Verdict,
}

impl Verdict {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reached => "reached",
            Self::Missed => "MISSED",
            Self::Open => "open: more pairs needed",
        }
    }
}

fn verdict(reached: bool) -> Verdict {
    if reached { Verdict::Reached } else { Verdict::Missed }
}

/// Whether the whole interval is at most that.
fn within(ratio: Ratio, limit: f64) -> Verdict {
    match (ratio.high <= limit, ratio.low > limit) {
        (true, _) => Verdict::Reached,
        (_, true) => Verdict::Missed,
        _ => Verdict::Open,
    }
}

pub fn of(report: &Report) -> Vec<Figure> {
    let mut figures: Vec<Figure> = Vec::new();
    for figure in [
        starting::than_normal,
        starting::than_aot,
        starting::first_request,
        starting::requests_2_to_20,
        starting::compiles,
        starting::private_memory,
        starting::image_size,
        starting::exec_to_running,
        starting::other_first,
    ] {
        figures.extend(report.startups.iter().filter_map(figure));
    }
    figures.extend(report.live_objects.iter().flat_map(live_objects));
    figures.extend(report.gaps.iter().filter_map(gap));
    figures.extend(report.detector.iter().flat_map(detector::of));
    for idle in &report.idle_agents {
        figures.extend(idle_agent(idle, "CPU of a start with an idle agent", &idle.start));
        figures.extend(idle_agent(idle, "CPU of a fixed load with an idle agent", &idle.fixed_load));
    }
    figures
}

pub fn over<T>(values: &[T], value: impl Fn(&T) -> u64) -> Option<Summary> {
    summary(values.iter().map(|item| value(item) as f64))
}

fn gap(gaps: &Gaps) -> Option<Figure> {
    let longest = over(&gaps.captures, |gap| gap.of_the_stop)?;
    Some(Figure {
        what: format!("gap of a spinning thread, {} captures", gaps.captures.len()),
        setting: format!(
            "JDK {}, {}, {:.0} MB resident, {} descriptors",
            gaps.jdk,
            gaps.collector,
            gaps.resident as f64 / f64::from(1 << 20),
            gaps.descriptors
        ),
        measured: format!("median {} ms, largest {} ms", milliseconds(longest.median), milliseconds(longest.max)),
        goal: format!("median at most {} ms", GAP_NS / 1e6),
        verdict: verdict(longest.median <= GAP_NS),
    })
}

/// Of each heap by itself, and of the largest against the smallest.
fn live_objects(live: &LiveObjects) -> Vec<Figure> {
    let setting = format!("JDK {}, {}", live.jdk, live.collector);
    let medians = live.heaps.iter().map(|heap| Some(over(&heap.restores, |restore| restore.exec_to_running())?.median));
    let Some(medians) = medians.collect::<Option<Vec<f64>>>() else { return Vec::new() };
    let each = live.heaps.iter().zip(&medians).map(|(heap, &median)| Figure {
        what: format!("exec to {} threads running, {} MB of live objects", heap.threads, heap.megabytes),
        setting: setting.clone(),
        measured: format!("{} ms", milliseconds(median)),
        goal: format!("at most {} ms", RUNNING_NS / 1e6),
        verdict: verdict(median <= RUNNING_NS),
    });
    let mut figures: Vec<Figure> = each.collect();
    if let ([few, .., many], [least, .., most]) = (live.heaps.as_slice(), medians.as_slice()) {
        let times = most / least;
        figures.push(Figure {
            what: format!("... {} MB against {} MB", many.megabytes, few.megabytes),
            setting,
            measured: format!("{times:.2} x ({} : {} ms)", milliseconds(*most), milliseconds(*least)),
            goal: format!("at most {LIVE_OBJECTS_RATIO} x"),
            verdict: verdict(times <= LIVE_OBJECTS_RATIO),
        });
    }
    figures
}

fn idle_agent(idle: &IdleAgent, what: &str, pairs: &[Pair]) -> Option<Figure> {
    let numbers: Vec<(f64, f64)> = pairs.iter().map(Pair::sums).collect();
    let ratio = ratio(&numbers)?;
    let percent = |ratio: f64| (ratio - 1.0) * 100.0;
    Some(Figure {
        what: format!("{what}, {} pairs of {} runs", pairs.len(), pairs.first()?.without.len()),
        setting: format!("JDK {}, {}", idle.jdk, idle.collector),
        measured: format!(
            "{:+.1} % (95 % interval {:+.1} to {:+.1} %)",
            percent(ratio.mean),
            percent(ratio.low),
            percent(ratio.high)
        ),
        goal: format!("at most {:+.0} %", percent(IDLE_RATIO)),
        verdict: within(ratio, IDLE_RATIO),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn idle(pairs: &[(u64, u64)]) -> Figure {
        let pairs: Vec<Pair> = pairs
            .iter()
            .map(|&(with_agent, without)| Pair { with_agent: vec![with_agent], without: vec![without] })
            .collect();
        let idle = IdleAgent { jdk: "21".into(), collector: "G1", start: Vec::new(), fixed_load: Vec::new() };
        idle_agent(&idle, "CPU", &pairs).unwrap()
    }

    #[test]
    fn a_verdict_on_the_idle_agent_needs_the_whole_interval() {
        let reached = idle(&[(101, 100), (202, 200), (101, 100)]);
        assert_eq!((reached.verdict, reached.goal.as_str()), (Verdict::Reached, "at most +2 %"));
        assert_eq!(idle(&[(110, 100), (111, 100), (110, 100)]).verdict, Verdict::Missed);
        assert_eq!(idle(&[(90, 100), (120, 100), (100, 100)]).verdict, Verdict::Open);
    }
}
