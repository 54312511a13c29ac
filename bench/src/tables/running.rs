//! Gaps of a capture, restores by live objects, the detector.

use super::{median, range};
use crate::figures::over;
use crate::report::Report;
use crate::table::{Table, megabytes};

pub fn gaps(report: &Report) -> Table {
    let mut table = Table::new(&[
        "",
        "captures",
        "median",
        "min - max",
        "as the agent saw it",
        "until saved",
        "min - max",
        "without capture",
        "min - max",
    ]);
    for gaps in &report.gaps {
        let longest = over(&gaps.captures, |gap| gap.of_the_stop);
        let until_saved = over(&gaps.captures, |gap| gap.until_saved);
        let without = over(&gaps.captures, |gap| gap.without_capture);
        table.row([
            format!("JDK {}, {}", gaps.jdk, gaps.collector),
            gaps.captures.len().to_string(),
            median(longest),
            range(longest),
            median(over(&gaps.captures, |gap| gap.saved.stopped_ns)),
            median(until_saved),
            range(until_saved),
            median(without),
            range(without),
        ]);
    }
    table
}

pub fn live_objects(report: &Report) -> Table {
    let mut table = Table::new(&[
        "",
        "live objects, MB",
        "threads",
        "restores",
        "threads made",
        "threads running",
        "min - max",
        "image, MB",
    ]);
    for live in &report.live_objects {
        for heap in &live.heaps {
            let running = over(&heap.restores, |restore| restore.exec_to_running());
            table.row([
                format!("JDK {}, {}", live.jdk, live.collector),
                heap.megabytes.to_string(),
                heap.threads.to_string(),
                heap.restores.len().to_string(),
                median(over(&heap.restores, |restore| restore.times.threads - restore.spawned)),
                median(running),
                range(running),
                megabytes(heap.saved.size as f64),
            ]);
        }
    }
    table
}

/// A row for each run.
pub fn detector(report: &Report) -> Table {
    let mut table = Table::new(&["", "steady since", "verdict", "off", "", "steady since, machine not allowed for"]);
    for run in report.detector.iter().flat_map(|detector| &detector.runs) {
        let seconds = |moment: Option<u64>, none: &str| match moment {
            Some(moment) => format!("{:.1}", moment.saturating_sub(run.load_began) as f64 / 1e9),
            None => none.into(),
        };
        table.row([
            format!("{}, {}", run.subject, run.jdk),
            seconds(run.steady, "never"),
            seconds(run.verdict, "none"),
            run.off().map_or_else(String::new, |off| format!("{:+.0} %", off * 100.0)),
            if run.within() { "within".into() } else { "outside".into() },
            seconds(run.steady_as_it_is, "never"),
        ]);
    }
    table
}
