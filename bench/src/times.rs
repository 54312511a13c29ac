//! Where the time of a restore went: the line that `hotfork restore --times FILE` leaves.

use crate::failure::{Failure, Outcome};
use crate::process::Process;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::{Duration, Instant};

/// The instance writes its line when its application has run for a while; it is there within this time.
const WRITTEN_WITHIN: Duration = Duration::from_secs(20);
/// Whoever asked without a pause would take a processor from the start that it measures.
const PAUSE: Duration = Duration::from_millis(10);

/// CLOCK_MONOTONIC in nanoseconds at the end of each step.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Times {
    pub main: u64,
    pub checked: u64,
    pub descriptors: u64,
    pub jump: u64,
    pub mapped: u64,
    pub threads: u64,
    pub renewed: u64,
    pub running: u64,
}

/// Steps in their order, with what the reader of a table calls them.
pub const STEPS: [&str; 9] = [
    "exec to main",
    "checks",
    "descriptors",
    "tables, jump",
    "mapping",
    "threads made",
    "renewal",
    "threads released",
    "first response",
];

impl Times {
    /// Nanoseconds of each of `STEPS`. The last can begin before the one before it ends: a thread that is
    /// released early may answer before the last one is.
    pub fn steps(&self, spawned: u64, answered: u64) -> [i64; 9] {
        let ends = [
            spawned,
            self.main,
            self.checked,
            self.descriptors,
            self.jump,
            self.mapped,
            self.threads,
            self.renewed,
            self.running,
            answered,
        ];
        std::array::from_fn(|step| ends[step + 1] as i64 - ends[step] as i64)
    }

    /// Of the one restore that `file` was made for.
    pub fn of(instance: &mut Process, file: &Path) -> Outcome<Self> {
        let deadline = Instant::now() + WRITTEN_WITHIN;
        loop {
            if let Ok(text) = std::fs::read_to_string(file)
                && text.ends_with('\n')
            {
                return Self::parse(&text);
            }
            instance.must_run()?;
            if Instant::now() > deadline {
                return Err(instance.failure("wrote no times"));
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn parse(text: &str) -> Outcome<Self> {
        serde_json::from_str(text).map_err(|error| Failure(format!("{text:?} are no times of a restore: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "{\"pid\":7,\"main\":11,\"checked\":12,\"descriptors\":14,\"jump\":17,\"mapped\":21,\"threads\":26,\
        \"renewed\":32,\"running\":39}\n";

    #[test]
    fn steps_are_differences() {
        assert_eq!(Times::parse(LINE).unwrap().steps(10, 38), [1, 1, 2, 3, 4, 5, 6, 7, -1]);
    }

    #[test]
    fn another_line_is_refused() {
        let failure = Times::parse("{\"pid\":7}\n").unwrap_err().to_string();
        assert!(failure.contains("are no times of a restore: missing field `main`"), "{failure}");
    }
}
