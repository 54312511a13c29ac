//! What is refused before the JVM is touched, as far as its memory and its process say.

use crate::exit::{ExitCode, Failure};
use crate::proc::maps::Mapping;
use crate::proc::status::Status;
use std::path::Path;
use std::time::Duration;

/// What the kernel takes to copy page tables and count references: 1 ms for each 100 MB of private memory.
const FORK_BYTES_PER_MILLISECOND: u64 = 100_000_000;

pub struct Limits {
    /// How long the JVM may stand still.
    pub max_stop: Duration,
    /// Bytes free where the image goes.
    pub room: u64,
    /// Bytes of free hugetlb pages.
    pub free_hugetlb: u64,
}

/// Every refusal that maps and status give, the first one found.
pub fn check(maps: &[Mapping], status: &Status, image: &Path, limits: &Limits) -> Result<(), Failure> {
    check_state(status)?;
    check_jvm(maps)?;
    maps.iter().try_for_each(check_mapping)?;
    check_hugetlb(status, limits)?;
    check_fork(status, limits)?;
    check_room(status, image, limits)
}

fn refused(message: String) -> Failure {
    Failure::new(ExitCode::Refused, message)
}

fn check_state(status: &Status) -> Result<(), Failure> {
    match status.state {
        'Z' | 'X' => Err(refused(
            "cannot capture: the first thread of the JVM has ended (pthread_exit in a native launcher), and only it can fork \
             a template; start the JVM with the java launcher"
                .into(),
        )),
        'T' | 't' => Err(refused("cannot capture: the JVM is stopped; continue it (kill -CONT) first".into())),
        _ => Ok(()),
    }
}

fn check_jvm(maps: &[Mapping]) -> Result<(), Failure> {
    let mapped = |start: &str| {
        let mut names = maps.iter().filter_map(|mapping| mapping.file()?.file_name()?.to_str());
        names.any(|name| name.starts_with(start))
    };
    if mapped("ld-musl") {
        return Err(refused("cannot capture a JVM that runs on musl: use a JDK built for glibc".into()));
    }
    if !mapped("libjvm.so") {
        return Err(refused("cannot capture: the process has no libjvm.so mapped, so it is no HotSpot JVM".into()));
    }
    Ok(())
}

/// Shared memory is not copied by the fork: JVM and instances would write into one another.
fn check_mapping(mapping: &Mapping) -> Result<(), Failure> {
    let name = String::from_utf8_lossy(&mapping.name);
    let remedy = if name.starts_with("/memfd:java_heap") {
        return Err(refused(
            "cannot capture a JVM with ZGC: its heap is shared memory, which a fork does not copy; \
             run it with -XX:+UseG1GC, or another collector"
                .into(),
        ));
    } else if name.contains("[io_uring]") {
        "io_uring cannot be carried; make the library use epoll (Netty: -Dio.netty.transport.noNative=true or its epoll transport)"
    } else if !mapping.shared || mapping.is_hsperfdata() {
        return Ok(());
    } else if name.starts_with("/SYSV") {
        "a System V shared memory segment cannot be carried; run without it (-XX:-UseSHM, or the library's own option)"
    } else if mapping.write {
        "a writable shared mapping would be shared by all instances; close it before the capture"
    } else if name.starts_with("/dev/") && !name.starts_with("/dev/shm/") {
        "memory of a device cannot be carried; close it before the capture"
    } else {
        return Ok(());
    };
    let what = if name.is_empty() || name.starts_with("/dev/zero") { "shared anonymous memory".into() } else { name };
    Err(refused(format!("cannot capture: {what} is mapped at {:#x}-{:#x}: {remedy}", mapping.start, mapping.end)))
}

fn check_hugetlb(status: &Status, limits: &Limits) -> Result<(), Failure> {
    if status.hugetlb <= limits.free_hugetlb {
        return Ok(());
    }
    Err(refused(format!(
        "cannot capture: {} of hugetlb pages are mapped and {} are free, so the kernel would take the copy's pages away; \
         double vm.nr_hugepages, or run with -XX:-UseLargePages",
        megabytes(status.hugetlb),
        megabytes(limits.free_hugetlb)
    )))
}

fn check_fork(status: &Status, limits: &Limits) -> Result<(), Failure> {
    let estimate = Duration::from_millis(status.rss_anonymous / FORK_BYTES_PER_MILLISECOND);
    if estimate <= limits.max_stop {
        return Ok(());
    }
    Err(refused(format!(
        "cannot capture: forking {} of private memory alone would stop the JVM for about {} ms, more than the limit of {} ms; \
         raise max-stop",
        megabytes(status.rss_anonymous),
        estimate.as_millis(),
        limits.max_stop.as_millis()
    )))
}

fn check_room(status: &Status, image: &Path, limits: &Limits) -> Result<(), Failure> {
    let needed = status.rss_anonymous + status.swap;
    if needed <= limits.room {
        return Ok(());
    }
    Err(Failure::new(
        ExitCode::SaveFailed,
        format!(
            "cannot save image {}: it may need {}, and {} are free there; make room, or name another --image",
            image.display(),
            megabytes(needed),
            megabytes(limits.room)
        ),
    ))
}

fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes.div_ceil(1_000_000))
}

/// Bytes of free hugetlb pages of all sizes, 0 where the kernel has none.
pub fn free_hugetlb(pools: &Path) -> u64 {
    let entries = std::fs::read_dir(pools).into_iter().flatten().flatten();
    let pool = |entry: std::fs::DirEntry| {
        let name = entry.file_name();
        let size: u64 = name.to_str()?.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()?;
        let free: u64 = std::fs::read_to_string(entry.path().join("free_hugepages")).ok()?.trim().parse().ok()?;
        Some(size * 1024 * free)
    };
    entries.filter_map(pool).sum()
}

#[cfg(test)]
#[path = "preflight_tests.rs"]
mod tests;
