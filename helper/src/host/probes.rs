//! Harmless calls that tell whether this host lets hotfork capture and restore. Sandboxes refuse
//! calls one by one, so each is tried.
//!
//! # Safety contract of this file
//! Every call made here changes nothing: it reads a value into a local of the right type, or has
//! arguments that the kernel refuses after it has decided whether the call is allowed at all.
#![allow(unsafe_code)]

use super::kernel::{self, OLDEST};
use crate::restore::denies_write_execute;
use serde::Serialize;
use std::io;
use std::path::Path;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Yes,
    No,
    /// Good to know, no obstacle.
    Note,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fact {
    pub name: String,
    pub verdict: Verdict,
    /// What was found; for a "no" also the remedy.
    pub detail: String,
}

impl Fact {
    pub fn new(name: &str, verdict: Verdict, detail: impl Into<String>) -> Self {
        Self { name: name.into(), verdict, detail: detail.into() }
    }

    fn of(name: &str, holds: bool, found: impl Into<String>, otherwise: impl Into<String>) -> Self {
        if holds { Self::new(name, Verdict::Yes, found) } else { Self::new(name, Verdict::No, otherwise) }
    }
}

/// Everything about the host that does not depend on an image.
pub fn all() -> Vec<Fact> {
    vec![
        kernel_release(),
        libc(),
        proc_files(),
        write_execute(),
        threads(),
        close_range(),
        tid_address(),
        memory_map(),
        rseq(),
        yama(),
    ]
}

fn kernel_release() -> Fact {
    let release = kernel::release();
    let new_enough = kernel::version(&release).is_some_and(|version| version >= OLDEST);
    let otherwise = format!("{release} is older than {}.{}; use a newer kernel", OLDEST.0, OLDEST.1);
    Fact::of("kernel", new_enough, release, otherwise)
}

fn libc() -> Fact {
    let loader = Path::new("/lib64/ld-linux-x86-64.so.2");
    let otherwise = "no glibc loader in /lib64: JVMs for musl are not supported; use a glibc-based system or container";
    Fact::of("glibc", loader.exists(), "its loader is there", otherwise)
}

fn proc_files() -> Fact {
    let otherwise = "/proc is not mounted; run mount -t proc proc /proc";
    Fact::of("proc", Path::new("/proc/self/maps").exists(), "mounted", otherwise)
}

fn write_execute() -> Fact {
    let otherwise = "memory that was written may not become executable (PR_SET_MDWE): no HotSpot runs so; \
                     drop MemoryDenyWriteExecute= from the service";
    Fact::of("write-and-execute", !denies_write_execute(), "allowed", otherwise)
}

fn threads() -> Fact {
    let thread = std::thread::Builder::new().spawn(|| ()).map(|thread| thread.join().is_ok());
    let otherwise = "threads cannot be made; raise ulimit -u or the cgroup's pids.max";
    Fact::of("threads", thread.is_ok_and(|joined| joined), "can be made", otherwise)
}

fn refused(result: i64) -> Option<io::Error> {
    let error = io::Error::last_os_error();
    let unavailable = matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM | libc::EACCES));
    (result < 0 && unavailable).then_some(error)
}

fn close_range() -> Fact {
    // SAFETY: no process can have a descriptor of this number.
    let error = refused(unsafe { libc::syscall(libc::SYS_close_range, u32::MAX, u32::MAX, 0) });
    let otherwise = "close_range(2) is refused; allow it in the seccomp profile";
    Fact::of("close_range", error.is_none(), "allowed", otherwise)
}

fn tid_address() -> Fact {
    const PR_GET_TID_ADDRESS: i32 = 40;
    let mut address: u64 = 0;
    // SAFETY: the kernel stores one pointer to `address`, a local of that size.
    let result = unsafe { libc::prctl(PR_GET_TID_ADDRESS, &raw mut address, 0, 0, 0) };
    let otherwise =
        "prctl(PR_GET_TID_ADDRESS) is refused (gVisor): a JVM here can be restored, not captured; capture outside";
    Fact::of("tid address", result == 0, "told by the kernel", otherwise)
}

fn memory_map() -> Fact {
    const PR_SET_MM: i32 = 35;
    const PR_SET_MM_MAP_SIZE: u64 = 15;
    let mut size: u32 = 0;
    // SAFETY: the kernel stores one u32 to `size` and sets nothing.
    let result = unsafe { libc::prctl(PR_SET_MM, PR_SET_MM_MAP_SIZE, &raw mut size, 0, 0) };
    let detail = if result == 0 {
        "allowed: ps will show the java command"
    } else {
        "refused: ps will show hotfork's command line, all else works"
    };
    Fact::new("PR_SET_MM_MAP", if result == 0 { Verdict::Yes } else { Verdict::Note }, detail)
}

fn rseq() -> Fact {
    // SAFETY: a length of 0 is refused with EINVAL before anything is registered.
    match refused(unsafe { libc::syscall(libc::SYS_rseq, 0, 0, 0, 0) }) {
        None => Fact::new("rseq", Verdict::Yes, "allowed"),
        Some(error) => Fact::new("rseq", Verdict::Note, format!("{error}: glibc and hotfork do without")),
    }
}

fn yama() -> Fact {
    let detail = match kernel::read_small("/proc/sys/kernel/yama/ptrace_scope") {
        Ok(scope) => format!("ptrace_scope is {scope}: hotfork needs no ptrace permission"),
        Err(_) => "not in this kernel".into(),
    };
    Fact::new("yama", Verdict::Note, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host_passes_and_every_no_has_a_remedy() {
        let facts = all();
        assert!(facts.iter().all(|fact| fact.verdict != Verdict::No || fact.detail.contains(';')), "{facts:?}");
        let kernel = facts.iter().find(|fact| fact.name == "kernel").unwrap();
        assert_eq!(kernel.verdict, Verdict::Yes, "tests need a supported kernel");
    }

    #[test]
    fn a_no_says_what_to_do() {
        let fact = Fact::of("x", false, "found", "bad; mend it");
        assert_eq!((fact.verdict, fact.detail.as_str()), (Verdict::No, "bad; mend it"));
    }
}
