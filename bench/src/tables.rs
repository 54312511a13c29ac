//! The tables of a report.

use crate::figures::{later_requests, over};
use crate::first_response::FirstResponse;
use crate::measure::startup::{Round, Startup};
use crate::report::Report;
use crate::statistics::{Summary, summary};
use crate::table::{Table, grouped, megabytes, milliseconds};
use crate::times::STEPS;
use std::collections::BTreeMap;

/// Threads told of each setting: those that used most CPU.
const THREADS_TOLD: usize = 6;

pub fn figures(report: &Report) -> Table {
    let mut table = Table::new(&["figure", "setting", "measured", "goal", ""]).with_text(5);
    for figure in &report.figures {
        let verdict = figure.verdict.as_str().to_owned();
        table.row([figure.what.clone(), figure.setting.clone(), figure.measured.clone(), figure.goal.clone(), verdict]);
    }
    table
}

fn setting(startup: &Startup) -> String {
    format!("{}, {}, {}", startup.sample, startup.jdk, startup.collector)
}

/// A cell each for the median, and for both ends.
fn median(summary: Option<Summary>) -> String {
    summary.map_or_else(String::new, |summary| milliseconds(summary.median))
}

fn range(summary: Option<Summary>) -> String {
    summary.map_or_else(String::new, |summary| format!("{} - {}", milliseconds(summary.min), milliseconds(summary.max)))
}

/// Only with the columns of what was measured.
pub fn first_response(report: &Report) -> Table {
    type Way = (&'static str, fn(&Round) -> Option<&FirstResponse>);
    let ways: [Way; 4] = [
        ("normal start", |round| Some(&round.normal)),
        ("AOT cache", |round| round.aot.as_ref()),
        ("CRIU", |round| round.criu.as_ref()),
        ("restore", |round| Some(&round.restore)),
    ];
    let rounds = || report.startups.iter().flat_map(|startup| &startup.rounds);
    let measured: Vec<&Way> = ways.iter().filter(|(_, way)| rounds().any(|round| way(round).is_some())).collect();
    let mut header = vec!["", "rounds"];
    header.extend(measured.iter().flat_map(|(name, _)| [*name, "min - max"]));
    let mut table = Table::new(&header);
    for startup in &report.startups {
        let cells = measured.iter().flat_map(|(_, way)| {
            let nanoseconds = startup.rounds.iter().filter_map(way).map(|first| first.since_exec as f64);
            let summary = summary(nanoseconds);
            [median(summary), range(summary)]
        });
        table.row([setting(startup), startup.rounds.len().to_string()].into_iter().chain(cells));
    }
    table
}

/// First and later ones; those of the warmed JVM just before the capture are the steady ones.
pub fn requests(report: &Report) -> Table {
    let mut table = Table::new(&[
        "",
        "normal: 1st",
        "2nd-20th",
        "restore: 1st",
        "2nd-20th",
        "steady",
        "1st after a rest",
        "min - max",
        "steady, new connection",
    ]);
    for startup in &report.startups {
        let rounds = &startup.rounds;
        let normal_later = rounds.iter().flat_map(|round| round.normal.second_to_twentieth()).map(|&ns| ns as f64);
        let rested = over(rounds, |round| round.rested);
        table.row([
            setting(startup),
            median(over(rounds, |round| round.normal.first_request)),
            median(summary(normal_later)),
            median(over(rounds, |round| round.restore.first_request)),
            median(later_requests(startup)),
            median(over(&startup.steady.kept_alive, |&ns| ns)),
            median(rested),
            range(rested),
            median(over(&startup.steady.new_connection, |&ns| ns)),
        ]);
    }
    table
}

pub fn compiles(report: &Report) -> Table {
    let mut table = Table::new(&["", "normal start", "min - max", "restore", "min - max"]);
    for startup in &report.startups {
        let count = |summary: Option<Summary>| {
            let cell = |value: f64| grouped(value.round() as i64);
            summary.map_or_else(Default::default, |summary| {
                [cell(summary.median), format!("{} - {}", cell(summary.min), cell(summary.max))]
            })
        };
        let normal = count(over(&startup.rounds, |round| round.compiles.normal));
        let restore = count(over(&startup.rounds, |round| round.compiles.restore));
        table.row(std::iter::once(setting(startup)).chain(normal).chain(restore));
    }
    table
}

/// The image against what it must hold.
pub fn image(report: &Report) -> Table {
    let mut table = Table::new(&["", "image", "live heap", "metaspace", "code", "beyond those"]);
    for startup in &report.startups {
        let (size, parts) = (startup.saved.size as f64, &startup.parts);
        let beyond = size - parts.sum() as f64;
        let parts = [parts.live_heap, parts.metaspace, parts.code_cache].map(|bytes| megabytes(bytes as f64));
        table.row([setting(startup), megabytes(size)].into_iter().chain(parts).chain([megabytes(beyond)]));
    }
    table
}

pub fn steps(report: &Report) -> Table {
    let mut header = vec![""];
    header.extend(STEPS);
    let mut table = Table::new(&header);
    for startup in &report.startups {
        let steps: Vec<[i64; STEPS.len()]> =
            startup.rounds.iter().map(|round| round.times.steps(round.spawned, round.restore.at)).collect();
        let medians = (0..STEPS.len()).map(|step| median(summary(steps.iter().map(|round| round[step] as f64))));
        table.row(std::iter::once(setting(startup)).chain(medians));
    }
    table
}

pub fn costs(report: &Report) -> Table {
    let mut table =
        Table::new(&["", "normal: minor faults", "major", "CPU, ms", "restore: minor faults", "major", "CPU, ms"]);
    for startup in &report.startups {
        let count = |value: fn(&Round) -> u64| {
            over(&startup.rounds, value).map_or_else(String::new, |summary| grouped(summary.median.round() as i64))
        };
        table.row([
            setting(startup),
            count(|round| round.normal.faults.minor),
            count(|round| round.normal.faults.major),
            median(over(&startup.rounds, |round| round.normal.cpu)),
            count(|round| round.restore.faults.minor),
            count(|round| round.restore.faults.major),
            median(over(&startup.rounds, |round| round.restore.cpu)),
        ]);
    }
    table
}

pub fn threads(report: &Report) -> Table {
    let mut table = Table::new(&["", "threads", "CPU of those with most"]).with_text(3);
    for startup in &report.startups {
        let count = over(&startup.rounds, |round| round.restore.threads.len() as u64);
        let mut most: Vec<(String, f64)> = cpu_by_name(&startup.rounds).into_iter().collect();
        most.sort_by(|(_, one), (_, other)| other.total_cmp(one));
        let told: Vec<String> =
            most.iter().take(THREADS_TOLD).map(|(name, cpu)| format!("{name} {}", milliseconds(*cpu))).collect();
        let count = count.map_or_else(String::new, |summary| grouped(summary.median.round() as i64));
        table.row([setting(startup), count, told.join(", ")]);
    }
    table
}

/// Median over the rounds; threads that differ only in their number are taken together.
fn cpu_by_name(rounds: &[Round]) -> BTreeMap<String, f64> {
    let mut by_name: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for (number, round) in rounds.iter().enumerate() {
        for thread in &round.restore.threads {
            let name = thread.name.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches(['#', '-']);
            let sums = by_name.entry(name.into()).or_insert_with(|| vec![0.0; rounds.len()]);
            sums[number] += thread.nanoseconds as f64;
        }
    }
    by_name.into_iter().filter_map(|(name, sums)| Some((name, summary(sums)?.median))).collect()
}

pub fn memory(report: &Report) -> Table {
    let mut table = Table::new(&[
        "",
        "normal: private, MB",
        "restored: private, MB",
        "the last side by side, MB",
        "most side by side, MB",
        "image, MB",
        "stood still, ms",
        "saving, ms",
    ]);
    for startup in &report.startups {
        let bytes = |summary: Option<Summary>, value: fn(Summary) -> f64| {
            summary.map_or_else(String::new, |summary| megabytes(value(summary)))
        };
        table.row([
            setting(startup),
            bytes(over(&startup.rounds, |round| round.normal.private_memory), |summary| summary.median),
            bytes(over(&startup.side_by_side, |&bytes| bytes), |summary| summary.median),
            startup.side_by_side.last().map_or_else(String::new, |&last| megabytes(last as f64)),
            bytes(over(&startup.side_by_side, |&bytes| bytes), |summary| summary.max),
            megabytes(startup.saved.size as f64),
            milliseconds(startup.saved.stopped_ns as f64),
            milliseconds(startup.saved.saving_ns as f64),
        ]);
    }
    table
}

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
    let mut table = Table::new(&["", "steady since", "verdict", "off", ""]);
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
        ]);
    }
    table
}
