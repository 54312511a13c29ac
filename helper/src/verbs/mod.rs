//! One file for each verb of the command line.

pub mod check;
pub mod drive_load;
pub mod inspect;
pub mod restore;
pub mod run;
pub mod serve_capture;
pub mod snapshot;
pub mod watch;

use crate::cli::Verb;
use crate::exit::Failure;
use crate::restore::start::Start;

/// Carries out one verb; its value is the exit status.
pub fn run(verb: Verb, start: Start) -> Result<i32, Failure> {
    match verb {
        Verb::Run(args) => run::run(args, start),
        Verb::Snapshot(args) => snapshot::run(args),
        Verb::Watch(args) => watch::run(&args, start),
        Verb::Restore(args) => restore::run(args, start),
        Verb::Inspect(args) => inspect::run(&args),
        Verb::Check(args) => check::run(&args),
        Verb::ServeCapture(args) => serve_capture::run(args),
        Verb::DriveLoad(args) => drive_load::run(args),
    }
}
