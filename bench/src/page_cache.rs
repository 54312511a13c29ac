//! Files read before a measurement, so that it waits for no disk, and a pause, so that it waits for nothing else.

use crate::failure::{During, Outcome};
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use std::fs::File;
use std::path::Path;
use std::time::Duration;

/// A JVM that was just killed leaves the kernel work, and a virtual machine that has just worked little of its share of the host.
const QUIET: Duration = Duration::from_millis(300);

/// Those that a kernel has dropped wait for the disk here and not in the measurement.
pub fn read<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Outcome<()> {
    read_each(paths, |_| Ok(()))
}

/// From the beginning to the end, as if each had just come to this machine. What a kernel has dropped and brought back page by page lies in pages of its own, and
/// takes longer to map than what was read in one go (larger folios: ext4 since Linux 6.16, XFS since 5.18).
pub fn read_anew<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Outcome<()> {
    read_each(paths, |file| posix_fadvise(file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED))
}

fn read_each<'a>(paths: impl IntoIterator<Item = &'a Path>, before: impl Fn(&File) -> nix::Result<()>) -> Outcome<()> {
    for path in paths {
        let what = format!("read {}", path.display());
        let mut file = File::open(path).during(&what)?;
        before(&file).during(&what)?;
        std::io::copy(&mut file, &mut std::io::sink()).during(&what)?;
    }
    std::thread::sleep(QUIET);
    Ok(())
}
