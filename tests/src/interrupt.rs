//! Ctrl-C: what runs under test has process groups of its own and would not notice.
//!
//! # Safety contract of this file
//! `unsafe` runs one system call between fork and exec of a process under test; it touches no memory but its own stack.
#![allow(unsafe_code)]

use crate::{During, Outcome, build, remains};
use nix::sys::signal::{SigSet, Signal, killpg};
use nix::unistd::Pid;
use std::os::unix::process::CommandExt;
use std::process::Command;

fn interrupting() -> SigSet {
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect()
}

/// The command begins as from a shell, in which these signals are not blocked.
pub fn unblocked(command: &mut Command) {
    let signals = interrupting();
    let unblock = move || Ok(signals.thread_unblock()?);
    // SAFETY: `unblock` makes one system call and allocates nothing, as a child of a process with threads must.
    unsafe { command.pre_exec(unblock) };
}

/// From now on an interrupted run ends what it started first. Called before there are other threads.
pub fn watch() -> Outcome {
    let signals = interrupting();
    // Threads to come inherit this, and processes would.
    signals.thread_block().during("block the signals that interrupt")?;
    std::thread::spawn(move || {
        if let Ok(signal) = signals.wait() {
            for pid in remains::running() {
                let _ = killpg(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
                remains::remove_those_of_a_killed(pid);
            }
            let _ = std::fs::remove_dir_all(build::scratch_of_this_run());
            std::process::exit(128 + signal as i32);
        }
    });
    Ok(())
}
