//! All results: as JSON with every round, and as tables.

use crate::failure::{During, Outcome, fail};
use crate::figures::Figure;
use crate::machine::Machine;
use crate::measure::detector::Detector;
use crate::measure::gap::Gaps;
use crate::measure::idle::IdleAgent;
use crate::measure::live::LiveObjects;
use crate::measure::startup::Startup;
use crate::tables;
use serde::Serialize;
use std::path::Path;

const DOCS_BEGIN: &str = "<!-- tables -->\n";
const DOCS_END: &str = "<!-- end of tables -->\n";

#[derive(Serialize)]
pub struct Report {
    pub hotfork_version: &'static str,
    /// Too few repetitions to prove a figure.
    pub quick: bool,
    pub machine: Machine,
    /// Whether CRIU was measured, or why not.
    pub criu: String,
    pub figures: Vec<Figure>,
    pub startups: Vec<Startup>,
    pub gaps: Vec<Gaps>,
    pub live_objects: Vec<LiveObjects>,
    pub idle_agents: Vec<IdleAgent>,
    pub detector: Option<Detector>,
}

impl Report {
    pub fn new(machine: Machine, quick: bool, criu: String) -> Self {
        Self {
            hotfork_version: env!("CARGO_PKG_VERSION"),
            quick,
            machine,
            criu,
            figures: Vec::new(),
            startups: Vec::new(),
            gaps: Vec::new(),
            live_objects: Vec::new(),
            idle_agents: Vec::new(),
            detector: None,
        }
    }

    pub fn tables(&self) -> String {
        let mut text = format!("\nHotfork {} on {}. {}\n", self.hotfork_version, self.machine.line(), self.criu);
        if self.quick {
            text += "A quick run: it shows that all is well and proves no figure.\n";
        }
        for left_out in self.live_objects.iter().filter_map(|live| live.left_out.as_ref()) {
            text += &format!("Restores with 4 GB of live objects were left out: {left_out}.\n");
        }
        for (title, table) in [
            ("Figures", tables::figures(self)),
            ("First response after exec, ms", tables::first_response(self)),
            ("Requests, ms", tables::requests(self)),
            ("Methods compiled from exec to request 100", tables::compiles(self)),
            ("Where the time of a restore went, medians, ms", tables::steps(self)),
            ("Page faults and CPU until the first response, medians", tables::costs(self)),
            ("CPU of each thread until the first response after a restore, medians, ms", tables::threads(self)),
            ("Memory and captures", tables::memory(self)),
            ("Other ways to start soon, beside a restore", tables::peers(self)),
            ("What an image holds, MB", tables::image(self)),
            ("Longest gap of a spinning thread, ms", tables::gaps(self)),
            ("Exec to threads running by live objects, ms", tables::live_objects(self)),
            ("The detector, seconds after the begin of the load", tables::detector(self)),
        ] {
            if table.is_empty() {
                continue;
            }
            text += &format!("\n### {title}\n\n{}", table.render());
        }
        text
    }

    pub fn json(&self) -> Outcome<serde_json::Value> {
        serde_json::to_value(self).during("write the results as JSON")
    }

    pub fn write_json(&self, path: &Path) -> Outcome<()> {
        let text = serde_json::to_string_pretty(self).during("write the results as JSON")?;
        std::fs::write(path, text + "\n").during(format!("write {}", path.display()))
    }
}

/// Replaces what lies between the two comments.
pub fn write_docs(path: &Path, tables: &str) -> Outcome<()> {
    let what = path.display();
    let text = std::fs::read_to_string(path).during(format!("read {what}"))?;
    let Some(text) = replace(&text, tables) else {
        return fail(format!("{what} has no lines {:?} and {:?} in this order", DOCS_BEGIN.trim(), DOCS_END.trim()));
    };
    std::fs::write(path, text).during(format!("write {what}"))
}

fn replace(text: &str, tables: &str) -> Option<String> {
    let (before, rest) = text.split_once(DOCS_BEGIN)?;
    let (_, after) = rest.split_once(DOCS_END)?;
    Some(format!("{before}{DOCS_BEGIN}{tables}\n{DOCS_END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_replace_what_lies_between_the_comments() {
        let text = "a\n<!-- tables -->\nold\n<!-- end of tables -->\nb\n";
        assert_eq!(replace(text, "new\n").unwrap(), "a\n<!-- tables -->\nnew\n\n<!-- end of tables -->\nb\n");
        assert!(replace("no comments\n", "new\n").is_none());
    }
}
