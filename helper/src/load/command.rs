//! A load that is somebody else's program: a shell command in a process group of its own.
//!
//! # Safety contract of this file
//! `unsafe` says what the shell's process does between fork and exec: two system calls, nothing allocated or locked.
#![allow(unsafe_code)]

use nix::errno::Errno;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::{Pid, getpid, getppid};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// From SIGTERM to SIGKILL.
const ENDS_WITHIN: Duration = Duration::from_secs(2);

/// The shell is reaped in `end` only: until then its pid, and with it the group's number, is nobody else's.
pub struct LoadCommand {
    text: String,
    shell: Pid,
    over: bool,
}

impl LoadCommand {
    pub fn start(text: &str, port: u16) -> io::Result<Self> {
        let mut shell = Command::new("sh");
        shell.args(["-c", text]).env("HOTFORK_PORT", port.to_string()).process_group(0);
        shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let driver = getpid();
        // A driver that is killed (it is the first to go when memory runs out) ends nothing itself: the kernel ends the shell.
        // That covers a script's shell and a command that the shell becomes: `exec wrk`, and in dash and bash a single
        // command. What the shell has forked is in its group, which `end` signals, but does not inherit this (prctl(2)) and
        // survives a killed driver. The signal comes when this thread ends: it is the driver's main thread.
        // SAFETY: prctl and getppid are plain system calls of the child; an errno becomes an error without allocation.
        unsafe {
            shell.pre_exec(move || {
                set_pdeathsig(Signal::SIGKILL)?;
                // Killed before the call: nobody would be told any more.
                if getppid() == driver { Ok(()) } else { Err(Errno::ESRCH.into()) }
            });
        }
        let shell = Pid::from_raw(shell.spawn()?.id().cast_signed());
        Ok(Self { text: text.into(), shell, over: false })
    }

    pub fn pause(&self) {
        self.signal(Signal::SIGSTOP);
    }

    pub fn resume(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// Only while a child of this process, dead or alive, is in the group: then the number is the group's.
    fn signal(&self, signal: Signal) {
        if let Err(errno) = killpg(self.shell, signal) {
            log::debug!("the load's group {} does not get {signal}: {errno}", self.shell);
        }
    }

    /// Once: what is wrong with how it has ended.
    pub fn failure(&mut self) -> Option<String> {
        if self.over {
            return None;
        }
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT | WaitPidFlag::WNOHANG;
        let how = match waitid(Id::Pid(self.shell), flags) {
            Ok(WaitStatus::Exited(_, 0)) => None,
            Ok(WaitStatus::Exited(_, code)) => Some(format!("status {code}")),
            Ok(WaitStatus::Signaled(_, signal, _)) => Some(format!("signal {}", signal as i32)),
            Ok(_) | Err(Errno::EINTR) => return None,
            // nix has no name for a real-time signal.
            Err(Errno::EINVAL) => Some("a real-time signal".into()),
            Err(errno) => Some(errno.to_string()),
        };
        self.over = true;
        how.map(|how| {
            format!(
                "the training load has ended with {how}: {} (what it prints is thrown away: run it by hand); the JVM goes on without a load",
                self.text
            )
        })
    }

    /// Ends the command and what it has started in its group.
    pub fn end(self) {
        self.signal(Signal::SIGTERM);
        self.signal(Signal::SIGCONT);
        let end = Instant::now() + ENDS_WITHIN;
        while self.is_there() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
        if self.is_there() {
            self.signal(Signal::SIGKILL);
        }
        while self.is_there() && Instant::now() < end + ENDS_WITHIN {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Reaps the dead of the group: whether a child of this process is left in it. This process adopts those whose parents
    /// have ended, before these can be reaped: without a child there is nobody, and the number may be a stranger's.
    fn is_there(&self) -> bool {
        loop {
            match waitpid(Pid::from_raw(-self.shell.as_raw()), Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) => return true,
                // EINVAL: reaped, after a real-time signal.
                Ok(_) | Err(Errno::EINTR | Errno::EINVAL) => {}
                Err(Errno::ECHILD) => return false,
                Err(errno) => {
                    log::debug!("waitpid: {errno}");
                    return false;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait_for(command: &mut LoadCommand) -> Option<String> {
        let end = Instant::now() + Duration::from_secs(20);
        while !command.over && Instant::now() < end {
            if let Some(failure) = command.failure() {
                return Some(failure);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        None
    }

    #[test]
    fn the_port_is_named_and_a_bad_end_is_told_once() {
        let mut good = LoadCommand::start("test $HOTFORK_PORT = 4711", 4711).unwrap();
        assert_eq!(wait_for(&mut good), None);
        assert!(good.over);
        let mut bad = LoadCommand::start("exit $HOTFORK_PORT", 3).unwrap();
        let failure = wait_for(&mut bad).unwrap();
        assert!(failure.starts_with("the training load has ended with status 3: exit $HOTFORK_PORT ("), "{failure}");
        assert_eq!(bad.failure(), None);
        let mut killed = LoadCommand::start("kill -9 $$", 3).unwrap();
        assert!(wait_for(&mut killed).unwrap().contains("ended with signal 9"));
        for command in [good, bad, killed] {
            // Looked at, not reaped: the number is kept.
            killpg(command.shell, None).unwrap();
            let shell = command.shell;
            command.end();
            assert_eq!(waitpid(shell, Some(WaitPidFlag::WNOHANG)), Err(Errno::ECHILD));
        }
    }

    #[test]
    fn what_does_not_hear_sigterm_is_killed() {
        let command = LoadCommand::start("trap '' TERM; while :; do sleep 1; done", 3).unwrap();
        let shell = command.shell;
        let ignores = || {
            let status = std::fs::read_to_string(format!("/proc/{shell}/status")).unwrap();
            let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap().trim();
            u64::from_str_radix(mask, 16).unwrap() >> (Signal::SIGTERM as u32 - 1) & 1 == 1
        };
        while !ignores() {
            std::thread::sleep(Duration::from_millis(2));
        }
        command.pause();
        let begun = Instant::now();
        command.end();
        assert!(begun.elapsed() >= ENDS_WITHIN);
        assert_eq!(waitpid(shell, Some(WaitPidFlag::WNOHANG)), Err(Errno::ECHILD));
    }

    #[test]
    fn it_does_not_survive_a_driver_that_is_killed() {
        // The kernel tells the end of the thread that has started it.
        let start = || LoadCommand::start("exec sleep 1000", 3).unwrap();
        let mut command = std::thread::spawn(start).join().unwrap();
        assert!(wait_for(&mut command).unwrap().contains("ended with signal 9"));
        command.end();
    }
}
