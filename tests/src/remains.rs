//! What may not remain: processes of ours, and files that HotSpot or Hotfork made for them.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

/// Environment variable that everything started here, and its children, carries.
pub const MARK: &str = "HOTFORK_TEST_RUN";

/// Every process that was started.
static STARTED: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());
/// Those that have not been waited for.
static RUNNING: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// Files that lay there before this run: a process that got the pid of a killed JVM has not left its files.
static OLDER: Mutex<BTreeSet<Identity>> = Mutex::new(BTreeSet::new());
/// Device, inode, time of the last change: an inode alone may be a later file's.
type Identity = (u64, u64, i64, i64);

/// Notes what others have left, before anything is started.
pub fn look_around() {
    let tmp = Path::new("/tmp");
    let files = entries(tmp).chain(perf_directories().flat_map(|directory| entries(&directory).collect::<Vec<_>>()));
    lock(&OLDER).extend(files.filter_map(|file| identity(&file)));
}

fn identity(file: &Path) -> Option<Identity> {
    file.symlink_metadata().ok().map(|status| (status.dev(), status.ino(), status.ctime(), status.ctime_nsec()))
}

/// Notes a process that was started; `found` looks for what it left.
pub fn remember(pid: u32) {
    lock(&STARTED).insert(pid);
    lock(&RUNNING).insert(pid);
}

/// It has been waited for: its number is free.
pub fn has_ended(pid: u32) {
    lock(&RUNNING).remove(&pid);
}

pub fn running() -> BTreeSet<u32> {
    lock(&RUNNING).clone()
}

fn lock<T>(set: &Mutex<BTreeSet<T>>) -> MutexGuard<'_, BTreeSet<T>> {
    set.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// A JVM, or a `hotfork snapshot`, that was killed could not remove its files.
pub fn remove_those_of_a_killed(pid: u32) {
    for file in files_of(pid) {
        let _ = fs::remove_file(file);
    }
    for directory in meeting_places(pid) {
        let _ = fs::remove_dir_all(directory);
    }
}

/// Directories in which a `hotfork snapshot` waited for agents.
fn meeting_places(pid: u32) -> Vec<PathBuf> {
    let own = format!("-{pid}");
    let is_own = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(".hotfork-") && name.ends_with(&own)
    };
    entries(Path::new("/tmp")).filter(is_own).collect()
}

/// hsperfdata and attach socket of a JVM, those that are there.
pub fn files_of(pid: u32) -> Vec<PathBuf> {
    let tmp = Path::new("/tmp");
    let mut files = vec![tmp.join(format!(".java_pid{pid}")), tmp.join(format!(".attach_pid{pid}"))];
    files.extend(perf_directories().map(|directory| directory.join(pid.to_string())));
    files.retain(|file| file.symlink_metadata().is_ok());
    files
}

fn perf_directories() -> impl Iterator<Item = PathBuf> {
    entries(Path::new("/tmp"))
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("hsperfdata_")))
}

/// hsperfdata file of a JVM.
pub fn perf_file(pid: u32) -> Option<PathBuf> {
    files_of(pid).into_iter().find(|file| file.to_string_lossy().contains("hsperfdata_"))
}

/// Everything that should be gone and is not, one line each.
pub fn found() -> Vec<String> {
    let mut remains = Vec::new();
    for (pid, command) in processes_of_ours() {
        remains.push(format!("process {pid} still runs: {command}"));
    }
    let started = lock(&STARTED).clone();
    for pid in started {
        // The number may belong to a stranger's JVM by now.
        if !Path::new(&format!("/proc/{pid}")).exists() {
            let mut files = files_of(pid);
            files.extend(meeting_places(pid));
            files.retain(|file| identity(file).is_some_and(|identity| !lock(&OLDER).contains(&identity)));
            remains.extend(files.iter().map(|file| format!("{} of a process that has ended", file.display())));
        }
    }
    remains
}

/// Processes that carry this run's mark in their environment.
fn processes_of_ours() -> Vec<(u32, String)> {
    let mark = format!("{MARK}={}", std::process::id());
    entries(Path::new("/proc"))
        .filter_map(|path| path.file_name()?.to_str()?.parse::<u32>().ok())
        .filter_map(|pid| {
            let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
            let marked = environment.split(|&byte| byte == 0).any(|variable| variable == mark.as_bytes());
            let command = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            marked.then(|| (pid, String::from_utf8_lossy(&command).replace('\0', " ")))
        })
        .collect()
}

fn entries(directory: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path())
}
