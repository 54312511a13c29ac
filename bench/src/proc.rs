//! What /proc tells of an instance: page faults, CPU of its threads, private memory.

use crate::failure::{During, Failure, Outcome};
use serde::Serialize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Faults {
    pub minor: u64,
    pub major: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ThreadCpu {
    pub name: String,
    pub nanoseconds: u64,
}

fn read(path: &str) -> Outcome<String> {
    std::fs::read_to_string(path).during(format!("read {path}"))
}

/// Page faults of all threads since exec.
pub fn faults(pid: u32) -> Outcome<Faults> {
    let path = format!("/proc/{pid}/stat");
    parse_faults(&read(&path)?).ok_or_else(|| Failure(format!("{path} is not as proc(5) says")))
}

fn parse_faults(stat: &str) -> Option<Faults> {
    // The name in parentheses may hold anything. After it: state is field 3, minflt 10, majflt 12.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some(Faults { minor: fields.get(7)?.parse().ok()?, major: fields.get(9)?.parse().ok()? })
}

/// None where there is no such process.
pub fn parent(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// CPU time of each thread that lives; one that ends meanwhile is left out.
pub fn threads(pid: u32) -> Outcome<Vec<ThreadCpu>> {
    let directory = format!("/proc/{pid}/task");
    let mut threads = Vec::new();
    for entry in std::fs::read_dir(&directory).during(format!("list {directory}"))? {
        let path = entry.during(format!("list {directory}"))?.path();
        let files = std::fs::read_to_string(path.join("schedstat"))
            .and_then(|schedstat| Ok((schedstat, std::fs::read_to_string(path.join("comm"))?)));
        let Ok((schedstat, name)) = files else {
            if path.exists() {
                return Err(Failure(format!(
                    "cannot read {}/schedstat: does this kernel have CONFIG_SCHED_INFO?",
                    path.display()
                )));
            }
            continue;
        };
        let nanoseconds = parse_schedstat(&schedstat)
            .ok_or_else(|| Failure(format!("{}/schedstat is not as proc(5) says", path.display())))?;
        threads.push(ThreadCpu { name: name.trim_end().into(), nanoseconds });
    }
    Ok(threads)
}

fn parse_schedstat(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

/// Bytes that this process alone costs: its proportional set size less clean file pages, which the
/// page cache holds anyway, and its page tables.
pub fn private_memory(pid: u32) -> Outcome<u64> {
    let rollup = format!("/proc/{pid}/smaps_rollup");
    let status = format!("/proc/{pid}/status");
    private_kilobytes(&read(&rollup)?, &read(&status)?)
        .map(|kilobytes| kilobytes * 1024)
        .ok_or_else(|| Failure(format!("{rollup} or {status} lacks a field that Linux 5.10 has")))
}

fn private_kilobytes(rollup: &str, status: &str) -> Option<u64> {
    let field = |name| kilobytes(rollup, name);
    let dirty = field("Shared_Dirty")? + field("Private_Dirty")?;
    // Anonymous pages are dirty, but for those given back with MADV_FREE.
    let dirty_anonymous = field("Anonymous")?.saturating_sub(field("LazyFree")?);
    let dirty_file = dirty.saturating_sub(dirty_anonymous + field("Pss_Shmem")?);
    Some(field("Pss_Anon")? + field("Pss_Shmem")? + dirty_file + kilobytes(status, "VmPTE")?)
}

/// Bytes that processes of this machine can still have.
pub fn available_memory() -> Outcome<u64> {
    let kilobytes = kilobytes(&read("/proc/meminfo")?, "MemAvailable");
    kilobytes.map(|kilobytes| kilobytes * 1024).ok_or_else(|| Failure("/proc/meminfo has no MemAvailable".into()))
}

pub fn resident(pid: u32) -> Outcome<u64> {
    let path = format!("/proc/{pid}/status");
    let kilobytes = kilobytes(&read(&path)?, "VmRSS");
    kilobytes.map(|kilobytes| kilobytes * 1024).ok_or_else(|| Failure(format!("{path} has no VmRSS")))
}

fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLLUP: &str = "55d0-7ffc ---p 00000000 00:00 0    [rollup]\nRss:  9000 kB\nPss:  4000 kB\n\
        Pss_Dirty: 3100 kB\nPss_Anon:  3000 kB\nPss_File:  900 kB\nPss_Shmem:  32 kB\nShared_Clean: 5000 kB\n\
        Shared_Dirty:  0 kB\nPrivate_Clean: 900 kB\nPrivate_Dirty:  3072 kB\nAnonymous:  3000 kB\nLazyFree:  0 kB\n";

    #[test]
    fn private_memory_leaves_clean_file_pages_out() {
        // 3000 anonymous, 32 shared memory, 40 dirty file, 100 page tables.
        assert_eq!(private_kilobytes(ROLLUP, "VmRSS:\t 9000 kB\nVmPTE:\t     100 kB\n"), Some(3172));
    }

    #[test]
    fn a_missing_field_is_no_zero() {
        assert_eq!(private_kilobytes(ROLLUP, "VmRSS: 1 kB\n"), None);
        assert_eq!(private_kilobytes("Pss_Anon: 1 kB\n", "VmPTE: 1 kB\n"), None);
    }

    #[test]
    fn faults_behind_a_name_with_spaces_and_parentheses() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194560 1234 5 6 7 8 9 10 11";
        assert_eq!(parse_faults(stat), Some(Faults { minor: 1234, major: 6 }));
        assert_eq!(parse_faults("7 (java"), None);
        assert_eq!(parse_faults("7 (java) S 1"), None);
    }

    #[test]
    fn the_first_number_of_schedstat_is_cpu_time() {
        assert_eq!(parse_schedstat("123456 78 9\n"), Some(123_456));
        assert_eq!(parse_schedstat(""), None);
    }

    #[test]
    fn reads_this_process() {
        let own = std::process::id();
        assert!(faults(own).unwrap().minor > 0);
        assert!(private_memory(own).unwrap() > 0 && resident(own).unwrap() > 0);
        assert!(!threads(own).unwrap().is_empty());
        assert_eq!(parent(own), Some(std::os::unix::process::parent_id()));
        assert!(available_memory().unwrap() > 0);
    }
}
