//! Resource limits of this process.

use super::kernel;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::io;

/// The soft limit; `None` when there is none.
pub fn soft(resource: Resource) -> Option<u64> {
    match getrlimit(resource) {
        Ok((soft, _)) if soft != libc::RLIM_INFINITY => Some(soft),
        _ => None,
    }
}

/// Raises the soft limit of open files to the hard one, as HotSpot does at its start, and returns it.
pub fn raise_open_files() -> io::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(hard)
}

/// How many tasks this user may still make, `None` when no limit applies. Counting a user's tasks means
/// reading all of /proc, so that is done only if the limit could matter for `wanted` more.
pub fn tasks_left(wanted: u64) -> io::Result<Option<u64>> {
    let Some(limit) = soft(Resource::RLIMIT_NPROC) else { return Ok(None) };
    let all = kernel::read_line("/proc/loadavg").ok().and_then(|text| kernel::task_count(&text));
    if all.is_some_and(|all| all + wanted <= limit) || is_exempt() {
        return Ok(None);
    }
    Ok(Some(limit.saturating_sub(tasks_of(nix::unistd::getuid().as_raw())?)))
}

/// The kernel does not hold root of the initial user namespace, nor CAP_SYS_ADMIN or CAP_SYS_RESOURCE
/// there, to the limit.
fn is_exempt() -> bool {
    let initial =
        kernel::read_small("/proc/self/uid_map").is_ok_and(|map| map.split_whitespace().eq(["0", "0", "4294967295"]));
    let capable = kernel::read_small("/proc/self/status").ok().and_then(|status| capabilities(&status));
    const SYS_ADMIN: u64 = 1 << 21;
    const SYS_RESOURCE: u64 = 1 << 24;
    initial && (nix::unistd::getuid().is_root() || capable.is_some_and(|set| set & (SYS_ADMIN | SYS_RESOURCE) != 0))
}

fn status_field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

fn capabilities(status: &str) -> Option<u64> {
    u64::from_str_radix(status_field(status, "CapEff")?, 16).ok()
}

/// Threads of a process that runs with `uid` as its real user id.
fn threads_if_of(status: &str, uid: u32) -> u64 {
    let real = status_field(status, "Uid").and_then(|ids| ids.split_whitespace().next()?.parse::<u32>().ok());
    let threads = status_field(status, "Threads").and_then(|count| count.parse().ok());
    if real == Some(uid) { threads.unwrap_or(0) } else { 0 }
}

fn tasks_of(uid: u32) -> io::Result<u64> {
    let mut tasks = 0;
    for entry in std::fs::read_dir("/proc")? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit) {
            // A process that ended meanwhile counts no longer.
            tasks += std::fs::read_to_string(entry.path().join("status")).map_or(0, |text| threads_if_of(&text, uid));
        }
    }
    Ok(tasks)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "Name:\tjava\nUid:\t1000\t0\t0\t0\nThreads:\t31\nCapEff:\t0000000001000000\n";

    #[test]
    fn counts_threads_of_the_real_user() {
        assert_eq!(threads_if_of(STATUS, 1000), 31);
        assert_eq!(threads_if_of(STATUS, 0), 0);
        assert!(tasks_of(nix::unistd::getuid().as_raw()).unwrap() >= 1);
    }

    #[test]
    fn reads_capabilities() {
        assert_eq!(capabilities(STATUS), Some(1 << 24));
        assert_eq!(capabilities("Name:\tx\n"), None);
    }
}
