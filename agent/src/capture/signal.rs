//! The signal that stops threads: which one, its handler, and whether every thread can receive it.
//!
//! # Safety contract of this file
//! Installs `hotfork_frozen::handler::on_freeze`, which is made for exactly this: SA_SIGINFO, full mask.
#![allow(unsafe_code)]

use super::CaptureError;
use hotfork_frozen::handler::on_freeze;
use std::fs;
use std::mem::zeroed;
use std::time::{Duration, Instant};

/// Any thread blocks all signals for moments, in posix_spawn and pthread_create; on a busy machine such a moment
/// lasts. The application runs meanwhile.
const PATIENCE: Duration = Duration::from_secs(1);
const SIGQUIT: u64 = 1 << 2;

/// Installs the handler on a signal that the application does not use. Stays installed: a late signal of
/// an abandoned capture must not meet the default action, which ends the process.
pub fn install() -> Result<i32, CaptureError> {
    // SIGRTMAX-2 is the JDK's own I/O wake-up signal, taken or not yet.
    let candidates = (libc::SIGRTMIN() + 1..=libc::SIGRTMAX() - 3).rev();
    for signal in candidates {
        // SAFETY: an all-zero sigaction is a valid value to be filled in.
        let mut current: libc::sigaction = unsafe { zeroed() };
        // SAFETY: asks only; the kernel's answer goes into `current`.
        if unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut current) } != 0 {
            continue;
        }
        let ours = on_freeze as *const () as usize;
        if current.sa_sigaction == ours {
            return Ok(signal);
        }
        if current.sa_sigaction != libc::SIG_DFL {
            continue;
        }
        // SAFETY: as above.
        let mut action: libc::sigaction = unsafe { zeroed() };
        action.sa_sigaction = ours;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
        // SAFETY: fills a set that we own; then installs a handler of the right form for SA_SIGINFO.
        let installed = unsafe {
            libc::sigfillset(&raw mut action.sa_mask);
            libc::sigaction(signal, &raw const action, std::ptr::null_mut()) == 0
        };
        if installed {
            return Ok(signal);
        }
    }
    Err(CaptureError::NoSignal)
}

/// Signals of this process that have a handler, ours and SIGQUIT (which HotSpot's threads block) left out.
pub fn caught(own: i32) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    mask(&status, "SigCgt:").unwrap_or(0) & !(1 << (own - 1)) & !SIGQUIT
}

/// Waits until no thread blocks `signal`, for a while.
pub fn await_unblocked(signal: i32) -> Result<(), CaptureError> {
    let deadline = Instant::now() + PATIENCE;
    while let Some(tid) = blocking_thread(signal) {
        if Instant::now() > deadline {
            let name = fs::read_to_string(format!("/proc/self/task/{tid}/comm")).unwrap_or_default();
            return Err(CaptureError::ThreadBlocksSignals { tid, name: name.trim_end().into(), signal });
        }
        std::thread::yield_now();
    }
    Ok(())
}

fn blocking_thread(signal: i32) -> Option<i32> {
    let own = nix::unistd::gettid().as_raw();
    fs::read_dir("/proc/self/task").ok()?.flatten().find_map(|task| {
        let tid: i32 = task.file_name().to_str()?.parse().ok()?;
        // A thread that has ended in between blocks nothing.
        let status = fs::read_to_string(task.path().join("status")).ok()?;
        let blocked = mask(&status, "SigBlk:")? & (1 << (signal - 1)) != 0;
        (blocked && tid != own).then_some(tid)
    })
}

/// A signal set of /proc/PID/status.
fn mask(status: &str, field: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix(field))?;
    u64::from_str_radix(value.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_read() {
        let status = "Name:\tjava\nSigBlk:\t0000000000000004\nSigCgt:\t2000000101005ccf\n";
        assert_eq!(mask(status, "SigBlk:"), Some(4));
        assert_eq!(mask(status, "SigCgt:"), Some(0x2000_0001_0100_5ccf));
        assert_eq!(mask(status, "SigIgn:"), None);
    }
}
