//! The other ways to start soon, beside a restore: what their JVMs hold, and how they go on.

use super::{PEERS, Way, median, setting};
use crate::figures::{later_requests, over};
use crate::measure::startup::Startup;
use crate::report::Report;
use crate::statistics::summary;
use crate::table::{Table, megabytes};

/// A row for each way that was measured, and one for the restores beside them.
pub fn peers(report: &Report) -> Table {
    let mut table =
        Table::new(&["", "way", "private, MB", "1st request, ms", "2nd-20th, ms", "saved, MB"]).with_text(2);
    for startup in &report.startups {
        let measured: Vec<_> = PEERS.iter().filter_map(|way| row(startup, way)).collect();
        if measured.is_empty() {
            continue;
        }
        measured.into_iter().chain([restore(startup)]).for_each(|row| table.row(row));
    }
    table
}

fn row(startup: &Startup, (name, way): &Way) -> Option<[String; 6]> {
    let rounds: Vec<_> = startup.rounds.iter().filter_map(way).collect();
    let private = over(&rounds, |first| first.private_memory)?;
    let later = rounds.iter().flat_map(|first| first.second_to_twentieth()).map(|&ns| ns as f64);
    Some([
        setting(startup),
        (*name).into(),
        megabytes(private.median),
        median(over(&rounds, |first| first.first_request)),
        median(summary(later)),
        startup.criu_dump.filter(|_| *name == "CRIU").map_or_else(String::new, |bytes| megabytes(bytes as f64)),
    ])
}

fn restore(startup: &Startup) -> [String; 6] {
    [
        setting(startup),
        "restore".into(),
        over(&startup.rounds, |round| round.restore.private_memory)
            .map_or_else(String::new, |summary| megabytes(summary.median)),
        median(over(&startup.rounds, |round| round.restore.first_request)),
        median(later_requests(startup)),
        megabytes(startup.saved.size as f64),
    ]
}
