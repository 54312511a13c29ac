//! Each way to start: its first response, its requests, what it compiles.

use super::{PEERS, Way, median, range, setting};
use crate::figures::{later_requests, over};
use crate::report::Report;
use crate::statistics::{Summary, summary};
use crate::table::{Table, grouped};

/// Only with the columns of what was measured.
pub fn first_response(report: &Report) -> Table {
    let ways: [Way; 2] = [("normal start", |round| Some(&round.normal)), ("restore", |round| Some(&round.restore))];
    let [normal, restore] = &ways;
    let rounds = || report.startups.iter().flat_map(|startup| &startup.rounds);
    let peers = PEERS.iter().filter(|(_, way)| rounds().any(|round| way(round).is_some()));
    let measured: Vec<&Way> = [normal].into_iter().chain(peers).chain([restore]).collect();
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
