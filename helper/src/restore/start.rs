//! The first moments of a restore.
//!
//! # Safety contract of this file
//! `unsafe` is used for three system calls that only touch the signal state of this process, each
//! with a structure of the size and layout that the kernel expects, and to read that structure.
#![allow(unsafe_code)]

use crate::host::clocks;
use nix::sys::signal::Signal;

/// Signals whose being ignored is the caller's wish (nohup, a shell's background job), not the image's.
const CALLERS: [Signal; 2] = [Signal::SIGHUP, Signal::SIGINT];

#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// CLOCK_MONOTONIC in nanoseconds.
    pub time: u64,
    /// Bit n-1 for each ignored signal n of `CALLERS`.
    pub ignored_signals: u64,
    mask_before: u64,
}

impl Start {
    /// Notes time and ignored signals, and blocks all signals if `block`: as pid 1 a SIGTERM that
    /// arrives before the image's handlers are in place would be lost otherwise.
    pub fn now(block: bool) -> Self {
        let mask_before = if block { set_signal_mask(u64::MAX) } else { 0 };
        let mut ignored_signals = 0;
        for signal in CALLERS {
            if is_ignored(signal as i32) {
                ignored_signals |= 1 << (signal as i32 - 1);
            }
        }
        Self { time: clocks::monotonic(), ignored_signals, mask_before }
    }

    /// Gives the signal mask back, where a restore is not to be after all.
    pub fn unblock(self) {
        set_signal_mask(self.mask_before);
    }
}

/// Replaces the signal mask and returns the one before. Raw, because glibc's own call leaves its two
/// internal signals out.
fn set_signal_mask(mask: u64) -> u64 {
    let mut before = 0u64;
    // SAFETY: both pointers are to live 8-byte kernel signal sets, the size given.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const mask, &raw mut before, 8) };
    before
}

fn is_ignored(signal: i32) -> bool {
    // SAFETY: sigaction is a plain C structure for which all zero is a valid value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: a null new action changes nothing; the old one goes to a live structure of the right type.
    let read = unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut action) };
    read == 0 && action.sa_sigaction == libc::SIG_IGN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_every_signal_and_gives_the_mask_back() {
        let start = Start::now(true);
        let blocked = set_signal_mask(u64::MAX);
        start.unblock();
        let unkillable = (1 << (libc::SIGKILL - 1)) | (1 << (libc::SIGSTOP - 1));
        assert_eq!(blocked | unkillable, u64::MAX);
    }
}
