//! CPU time of this process's threads, by what they are for.
//!
//! # Safety contract of this file
//! `unsafe` reads clocks into a timespec of our own.
#![allow(unsafe_code)]

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Application,
    Jit,
    /// The collector's threads, the VM thread, this agent's.
    Jvm,
}

#[derive(Clone, Copy)]
struct Thread {
    kind: Kind,
    cpu: u64,
    /// Threads get their names after they have started: it is read in the first two looks.
    looks: u8,
    seen: u32,
}

#[derive(Default)]
pub struct Threads {
    known: HashMap<i32, Thread>,
    process: u64,
    round: u32,
}

/// Nanoseconds since the last look.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Used {
    pub app: u64,
    pub jit: u64,
    pub jvm: u64,
}

impl Threads {
    /// CPU time since the last look. What the process used and no living thread did belongs to threads that came and
    /// went, and so to the application. The first look gives what was used since the process's start.
    pub fn look(&mut self) -> std::io::Result<Used> {
        self.round = self.round.wrapping_add(1);
        let mut used = Used::default();
        for task in fs::read_dir("/proc/self/task")?.flatten() {
            let Some(tid) = task.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            // One that has ended since has no clock any more.
            let Some(cpu) = clock(thread_clock(tid)) else { continue };
            let new = Thread { kind: Kind::Application, cpu: 0, looks: 0, seen: 0 };
            let thread = self.known.entry(tid).or_insert(new);
            if thread.looks < 2 {
                thread.looks += 1;
                thread.kind = fs::read_to_string(task.path().join("comm")).map_or(thread.kind, |name| kind_of(&name));
            }
            let more = cpu.saturating_sub(std::mem::replace(&mut thread.cpu, cpu));
            thread.seen = self.round;
            match thread.kind {
                Kind::Application => {}
                Kind::Jit => used.jit += more,
                Kind::Jvm => used.jvm += more,
            }
        }
        self.known.retain(|_, thread| thread.seen == self.round);
        let process = clock(libc::CLOCK_PROCESS_CPUTIME_ID).unwrap_or(self.process);
        let all = process.saturating_sub(std::mem::replace(&mut self.process, process));
        used.app = all.saturating_sub(used.jit + used.jvm);
        Ok(used)
    }

    /// Whether threads of this kind, as of the last look, run or want to; the calling one apart.
    pub fn run(&self, kind: Kind) -> bool {
        let own = nix::unistd::gettid().as_raw();
        self.known.iter().any(|(&tid, thread)| thread.kind == kind && tid != own && !waits(tid))
    }

    /// Threads of the application, as of the last look.
    pub fn of_the_application(&self) -> impl Iterator<Item = i32> + '_ {
        self.known.iter().filter(|(_, thread)| thread.kind == Kind::Application).map(|(&tid, _)| tid)
    }
}

/// By the names that HotSpot gives them, cut to 15 bytes by the kernel.
fn kind_of(name: &str) -> Kind {
    const JVM: [&str; 18] = [
        "GC Thread",
        "G1 ",
        "ParGC",
        "VM Thread",
        "VM Periodic",
        "Service Thread",
        "Monitor Deflat",
        "Signal Dispatc",
        "Notification T",
        "Sweeper thread",
        "Shenandoah",
        "ZWorker",
        "XWorker",
        "ZDirector",
        "Attach Listener",
        "Hotfork",
        "Reference Hand",
        "Common-Cleaner",
    ];
    if name.contains("CompilerThre") {
        Kind::Jit
    } else if JVM.iter().any(|start| name.starts_with(start)) {
        Kind::Jvm
    } else {
        Kind::Application
    }
}

/// Whether a thread of this process sleeps in the kernel, or is no more. Asks malloc for nothing: a capture is near, and what lies
/// unsorted then instances sort.
pub fn waits(tid: i32) -> bool {
    // Longer than the path, and than what comes before the state.
    let (mut path, mut stat) = ([0; 64], [0; 256]);
    let mut rest = &mut path[..];
    if write!(rest, "/proc/self/task/{tid}/stat").is_err() {
        return true;
    }
    let length = path.iter().position(|&byte| byte == 0).unwrap_or(path.len());
    let path = Path::new(OsStr::from_bytes(&path[..length]));
    let Ok(length) = File::open(path).and_then(|mut file| file.read(&mut stat)) else { return true };
    // Behind the name, which may hold anything (proc(5)).
    let state = stat[..length].iter().rposition(|&byte| byte == b')').and_then(|at| stat.get(at + 2));
    !matches!(state, Some(b'R' | b'D'))
}

/// clock_getcpuclockid(3) for a thread of this process: the kernel's CPUCLOCK_PERTHREAD_MASK | CPUCLOCK_SCHED.
pub fn thread_clock(tid: i32) -> libc::clockid_t {
    (!tid << 3) | 6
}

/// Nanoseconds, `None` where there is no such clock.
pub fn clock(id: libc::clockid_t) -> Option<u64> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel fills the timespec or says no.
    let result = unsafe { libc::clock_gettime(id, &raw mut time) };
    (result == 0).then_some(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_told_apart_by_their_names() {
        assert_eq!(kind_of("C2 CompilerThre\n"), Kind::Jit);
        assert_eq!(kind_of("G1 Conc#0\n"), Kind::Jvm);
        assert_eq!(kind_of("http-nio-8080-e\n"), Kind::Application);
    }

    #[test]
    fn a_thread_that_waits_is_told_from_one_at_work() {
        let own = nix::unistd::gettid().as_raw();
        assert!(!waits(own), "it runs");
        let (tell, told) = std::sync::mpsc::channel();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::Builder::new().name("a) R (b) D".into()).spawn(move || {
            tell.send(nix::unistd::gettid().as_raw()).unwrap();
            let _ = ended.recv();
        });
        let tid = told.recv().unwrap();
        let until = std::time::Instant::now() + std::time::Duration::from_secs(5);
        while !waits(tid) {
            assert!(std::time::Instant::now() < until, "{tid} does not wait");
        }
        drop(end);
        thread.unwrap().join().unwrap();
        assert!(waits(1 << 23), "no such thread");
    }

    #[test]
    fn the_work_of_a_thread_is_seen() {
        let mut threads = Threads::default();
        threads.look().unwrap();
        let begin = clock(libc::CLOCK_THREAD_CPUTIME_ID).unwrap();
        while clock(libc::CLOCK_THREAD_CPUTIME_ID).unwrap() - begin < 20_000_000 {}
        let used = threads.look().unwrap();
        assert!(used.app >= 20_000_000 && used.jit == 0, "{used:?}");
        let own = nix::unistd::gettid().as_raw();
        assert!(threads.of_the_application().any(|tid| tid == own));
        assert_eq!(clock(thread_clock(1 << 23)), None, "above the kernel's largest pid");
    }
}
