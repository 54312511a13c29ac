//! The tables of a report.

mod peers;
mod requests;
mod restore;
mod running;

pub use peers::peers;
pub use requests::{compiles, first_response, requests};
pub use restore::{costs, image, memory, steps, threads};
pub use running::{detector, gaps, live_objects};

use crate::first_response::FirstResponse;
use crate::measure::startup::{Round, Startup};
use crate::report::Report;
use crate::statistics::Summary;
use crate::table::{Table, milliseconds};

/// A way to start, and its first response in the rounds that measured it.
type Way = (&'static str, fn(&Round) -> Option<&FirstResponse>);

/// The ways to start soon, beside a restore.
const PEERS: [Way; 2] = [("AOT cache", |round| round.aot.as_ref()), ("CRIU", |round| round.criu.as_ref())];

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
