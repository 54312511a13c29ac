//! What a restore costs beside a normal start: steps, faults, CPU, memory, its image.

use super::{median, setting};
use crate::figures::over;
use crate::measure::startup::Round;
use crate::report::Report;
use crate::statistics::{Summary, summary};
use crate::table::{Table, grouped, megabytes, milliseconds};
use crate::times::STEPS;
use std::collections::BTreeMap;

/// Threads told of each setting: those that used most CPU.
const THREADS_TOLD: usize = 6;

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
