//! A trial of a new image: an instance of it serves a few requests on ports that the kernel chose, and is killed. Which
//! pages it wrote by then, the next instances will write as well: they are brought in ahead of need.
//!
//! ```text
//!  instance  the instance: started, met, ended, nothing left of it
//!  requests  what is asked of it, and how long that took
//!  pages     what it wrote
//! ```
//! What the instance prints is thrown away, and so is what it appends to files (`restore --discard-writes`). What it does
//! to others, a database or another service, is done: so there is a trial only where somebody asked for one.

mod instance;
mod pages;
mod requests;

use crate::image::manifest::{Manifest, Trial};
use crate::load::http::Target;
use hotfork_abi::restore::MapOperation;
use instance::Instance;
use std::path::Path;

/// Tries the image at `path`. What to bring in ahead, and what was seen; `Err` says why there was no trial.
pub fn run(
    path: &Path,
    targets: &[Target],
    operations: &[MapOperation],
    manifest: &Manifest,
) -> Result<(Vec<MapOperation>, Trial), String> {
    let instance = Instance::start(path, manifest)?;
    let first = requests::first(&instance, targets)?;
    let written = pages::written(instance.process(), operations).map_err(|error| error.to_string())?;
    let used = instance.used();
    let later = requests::later(&instance, targets)?;
    drop(instance);
    let trial = Trial {
        first_request_ns: first.first,
        later_request_ns: later,
        pages_written: written.iter().map(|range| (range.end - range.start) / hotfork_abi::PAGE).sum(),
        faults: used.faults,
        threads: used.threads,
    };
    Ok((pages::populate(&written), trial))
}
