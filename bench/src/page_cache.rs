//! Files read before a measurement, so that it waits for no disk, and a pause, so that it waits for nothing else.

use crate::failure::{During, Outcome};
use std::fs::File;
use std::path::Path;
use std::time::Duration;

/// A JVM that was just killed leaves the kernel work, and a virtual machine that has just worked little of its share of the host.
const QUIET: Duration = Duration::from_millis(300);

pub fn read<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Outcome<()> {
    for path in paths {
        let what = format!("read {}", path.display());
        let mut file = File::open(path).during(&what)?;
        std::io::copy(&mut file, &mut std::io::sink()).during(&what)?;
    }
    std::thread::sleep(QUIET);
    Ok(())
}
