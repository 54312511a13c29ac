//! Files read before a measurement, so that it waits for no disk.

use crate::failure::{During, Outcome};
use std::fs::File;
use std::path::Path;
use std::time::Duration;

/// Who has just read files for a tenth of a second counts as busy: the scheduler then puts what is started next on the CPU of the client that tries
/// to connect, where it waits for its turn (1 to 4 ms of exec to main, in half of the starts of the Spring service).
const BREATH: Duration = Duration::from_millis(250);

pub fn read<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Outcome<()> {
    for path in paths {
        let what = format!("read {}", path.display());
        let mut file = File::open(path).during(&what)?;
        std::io::copy(&mut file, &mut std::io::sink()).during(&what)?;
    }
    std::thread::sleep(BREATH);
    Ok(())
}
