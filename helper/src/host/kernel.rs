//! The kernel: its release, its settings, its view of memory.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::OnceLock;

pub const OLDEST: (u32, u32) = (5, 10);

/// Contents of a small file of /proc or /sys, without the newline.
pub fn read_small(path: impl AsRef<Path>) -> io::Result<String> {
    // On the stack: a dozen such files are read at each restore, and memory of their own for each would be mapped, cleared and
    // unmapped.
    let mut room = [0; 4096];
    let (mut file, mut filled) = (File::open(&path)?, 0);
    loop {
        match file.read(&mut room[filled..])? {
            0 if filled == room.len() => return Ok(read_with_room(path, 4 * room.len())?.trim_end().to_owned()),
            0 => break,
            count => filled += count,
        }
    }
    let text = std::str::from_utf8(&room[..filled]).map_err(io::Error::other)?;
    Ok(text.trim_end().to_owned())
}

/// Contents of a file of one line of /proc or /sys, without the newline, by which the end is known: a restore reads half a
/// dozen, and each further read(2) costs a microsecond.
pub fn read_line(path: impl AsRef<Path>) -> io::Result<String> {
    let mut room = [0; 256];
    let (mut file, mut filled) = (File::open(path)?, 0);
    while filled < room.len() && !room[..filled].ends_with(b"\n") {
        match file.read(&mut room[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    let text = std::str::from_utf8(&room[..filled]).map_err(io::Error::other)?;
    Ok(text.trim_end().to_owned())
}

/// Contents of a file that tells no size, read at once if `room` will do.
pub fn read_with_room(path: impl AsRef<Path>, room: usize) -> io::Result<String> {
    let mut text = String::with_capacity(room);
    File::open(path)?.read_to_string(&mut text)?;
    Ok(text)
}

pub fn release() -> String {
    nix::sys::utsname::uname().map_or_else(|_| "unknown".into(), |name| name.release().to_string_lossy().into_owned())
}

/// Major and minor number of a release such as `6.1.0-13-amd64`.
pub fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// MAP_STACK says as much as MADV_NOHUGEPAGE since Linux 6.7, and nothing before.
pub fn stacks_have_no_huge_pages() -> bool {
    static SINCE: OnceLock<bool> = OnceLock::new();
    *SINCE.get_or_init(|| version(&release()) >= Some((6, 7)))
}

/// A number that this boot of the kernel alone has; empty where it is not told (gVisor).
pub fn boot_id() -> &'static str {
    static ID: OnceLock<String> = OnceLock::new();
    ID.get_or_init(|| read_line("/proc/sys/kernel/random/boot_id").unwrap_or_default())
}

/// vm.max_map_count; where it cannot be read (gVisor), the kernel's default.
pub fn max_map_count() -> u64 {
    read_line("/proc/sys/vm/max_map_count").ok().and_then(|text| text.parse().ok()).unwrap_or(65530)
}

/// Bytes that may still be committed, when the kernel never overcommits; `None` when it does.
pub fn commit_left() -> io::Result<Option<u64>> {
    // gVisor has no such file and overcommits.
    if read_line("/proc/sys/vm/overcommit_memory").map_or(true, |mode| mode != "2") {
        return Ok(None);
    }
    let meminfo = std::fs::read_to_string("/proc/meminfo")?;
    let field =
        |name| meminfo_field(&meminfo, name).ok_or_else(|| io::Error::other(format!("/proc/meminfo has no {name}")));
    Ok(Some(field("CommitLimit")?.saturating_sub(field("Committed_AS")?)))
}

/// A field of /proc/meminfo in bytes.
fn meminfo_field(meminfo: &str, name: &str) -> Option<u64> {
    let value = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    value.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

/// How many tasks the whole system has, from /proc/loadavg (`0.00 0.01 0.05 1/123 4567`).
pub fn task_count(loadavg: &str) -> Option<u64> {
    loadavg.split(' ').nth(3)?.split_once('/')?.1.parse().ok()
}

/// How many of them run or are about to, this one among them.
pub fn running_count(loadavg: &str) -> Option<u64> {
    loadavg.split(' ').nth(3)?.split_once('/')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        assert_eq!(version("6.18.44-fc-v782"), Some((6, 18)));
        assert_eq!(version("5.10"), Some((5, 10)));
        assert_eq!(version("linux"), None);
        assert!(version(&release()).is_some());
    }

    #[test]
    fn what_is_not_small_is_read_whole() {
        let directory = crate::scratch::Directory::new("small");
        let path = directory.path().join("file");
        for length in [0, 4095, 4096, 4097, 100_000] {
            std::fs::write(&path, format!("{}\n", "x".repeat(length))).unwrap();
            assert_eq!(read_small(&path).unwrap().len(), length);
        }
    }

    #[test]
    fn a_line_ends_with_its_newline_or_the_file() {
        let directory = crate::scratch::Directory::new("line");
        let path = directory.path().join("file");
        for (contents, line) in [("max\n", "max"), ("1", "1"), ("", "")] {
            std::fs::write(&path, contents).unwrap();
            assert_eq!(read_line(&path).unwrap(), line);
        }
        assert_eq!(read_line("/proc/sys/vm/overcommit_memory").unwrap().len(), 1);
    }

    #[test]
    fn meminfo_is_in_kilobytes() {
        let text = "MemTotal:       100 kB\nCommitLimit:    20 kB\nCommitted_AS:\t5 kB\n";
        assert_eq!(meminfo_field(text, "CommitLimit"), Some(20480));
        assert_eq!(meminfo_field(text, "Committed_AS"), Some(5120));
        assert_eq!(meminfo_field(text, "Commit"), None);
    }

    #[test]
    fn tasks_of_loadavg() {
        assert_eq!(task_count("0.00 0.01 0.05 1/123 4567"), Some(123));
        assert_eq!(task_count(""), None);
        assert_eq!(running_count("0.00 0.01 0.05 12/123 4567"), Some(12));
        assert_eq!(running_count(""), None);
    }
}
