//! Child processes of the JVM. An instance's `Process` objects would speak of the original's.

use super::failed;
use crate::exit::{ExitCode, Failure};
use crate::proc::Process;
use std::fs;
use std::io;

/// Verbs of Hotfork's own processes, which a JVM that is pid 1 adopts.
const OWN: [&str; 2] = ["serve-capture", "drive-load"];

/// Refuses, by pid and name, when a child runs. One that has ended and waits to be reaped does not count.
pub fn refuse_running(pid: i32) -> Result<(), Failure> {
    let children = running(pid).map_err(|error| failed(format_args!("children of {pid}"), error))?;
    if children.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = children.iter().map(|child| format!("{} ({})", child.pid, child.name)).collect();
    let message = format!("the JVM has running child processes: {}; let them end before the capture", names.join(", "));
    Err(Failure::new(ExitCode::Refused, message))
}

fn running(pid: i32) -> io::Result<Vec<Child>> {
    let mut pids = Vec::new();
    let mut text = String::new();
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let path = task?.path().join("children");
        text.clear();
        match fs::File::open(path).and_then(|mut file| io::Read::read_to_string(&mut file, &mut text)) {
            Ok(_) => pids.extend(text.split_whitespace().filter_map(|pid| pid.parse::<i32>().ok())),
            // The thread has ended, or the kernel was built without CONFIG_PROC_CHILDREN.
            Err(error) if is_gone(&error) => {
                if !fs::exists("/proc/thread-self/children")? {
                    return Ok(stats(all_processes()?)
                        .filter(|child| child.parent == pid && child.runs && !is_own(child))
                        .collect());
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(stats(pids).filter(|child| child.runs && !is_own(child)).collect())
}

fn is_own(child: &Child) -> bool {
    if child.is_silent {
        return true;
    }
    let words = Process(child.pid).strings("cmdline").unwrap_or_default();
    child.name == "hotfork" && words.get(1).is_some_and(|verb| OWN.iter().any(|own| own.as_bytes() == verb))
}

fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH)
}

fn all_processes() -> io::Result<Vec<i32>> {
    let names = fs::read_dir("/proc")?.flatten().map(|entry| entry.file_name());
    Ok(names.filter_map(|name| name.to_str()?.parse().ok()).collect())
}

/// Those that are still there.
fn stats(pids: Vec<i32>) -> impl Iterator<Item = Child> {
    pids.into_iter().filter_map(|pid| Child::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?))
}

#[derive(Debug, PartialEq, Eq)]
struct Child {
    pid: i32,
    name: String,
    parent: i32,
    runs: bool,
    /// Its exit signal is 0: the template, which is being forked meanwhile. fork(2) and posix_spawn(3) ask for SIGCHLD, and what
    /// executes a program gets that.
    is_silent: bool,
}

impl Child {
    /// `4711 (sleep) S 4700 ...`; the name may contain parentheses itself.
    fn parse(stat: &str) -> Option<Self> {
        let (pid, rest) = stat.split_once(" (")?;
        let (name, rest) = rest.rsplit_once(") ")?;
        // Of the fields of proc_pid_stat(5), from the third on.
        let fields: Vec<_> = rest.split_ascii_whitespace().collect();
        let runs = !matches!(*fields.first()?, "Z" | "X");
        let (parent, is_silent) = (fields.get(1)?.parse().ok()?, fields.get(35).is_some_and(|signal| *signal == "0"));
        Some(Self { pid: pid.parse().ok()?, name: name.to_owned(), parent, runs, is_silent })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_contain_parentheses() {
        let child = Child { pid: 47, name: "a) R (b".into(), parent: 9, runs: true, is_silent: false };
        assert_eq!(Child::parse("47 (a) R (b) S 9 47 47 0"), Some(child));
    }

    #[test]
    fn a_template_is_told_from_other_children_by_its_exit_signal() {
        let stat = |signal| format!("47 (java) S 9 47 47 0{} {signal} 1 0 0", " 5".repeat(30));
        assert!(Child::parse(&stat(0)).unwrap().is_silent);
        assert!(!Child::parse(&stat(libc::SIGCHLD)).unwrap().is_silent);
    }

    #[test]
    fn the_exit_signal_is_found_in_what_this_kernel_says() {
        // exec(2) sets a process's to SIGCHLD; that of a thread beside the first is -1.
        let is_first = std::process::id() as i32 == nix::unistd::gettid().as_raw();
        let stat = fs::read_to_string("/proc/thread-self/stat").unwrap();
        let signal = stat.rsplit_once(") ").unwrap().1.split_whitespace().nth(35);
        assert_eq!(signal, Some(if is_first { "17" } else { "-1" }));
    }

    #[test]
    fn one_that_has_ended_does_not_run() {
        assert!(!Child::parse("47 (sh) Z 9 47 47 0").unwrap().runs);
    }

    #[test]
    fn other_text_is_no_process() {
        for text in ["", "47", "47 (sh", "47 (sh) S", "x (sh) S 9", "47 (sh) S x"] {
            assert_eq!(Child::parse(text), None, "{text}");
        }
    }
}
