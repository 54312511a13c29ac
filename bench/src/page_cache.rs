//! Files read before a measurement, so that it waits for no disk.

use crate::failure::{During, Outcome};
use std::fs::File;
use std::path::Path;

pub fn read<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Outcome<()> {
    for path in paths {
        let what = format!("read {}", path.display());
        let mut file = File::open(path).during(&what)?;
        std::io::copy(&mut file, &mut std::io::sink()).during(&what)?;
    }
    Ok(())
}
