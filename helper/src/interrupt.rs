//! Signals that end this process, noticed while it waits for something else, so that it can finish what it has begun.

use nix::sys::signal::{SigSet, Signal, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::os::fd::{AsFd, BorrowedFd};

const ENDING: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

pub struct Interrupt {
    signals: SigSet,
    descriptor: SignalFd,
}

impl Interrupt {
    /// From now on they wait to be taken; those that are ignored (bit n-1 for signal n) stay so. For a process of one
    /// thread.
    pub fn catch(ignored: u64) -> nix::Result<Self> {
        let caught = ENDING.into_iter().filter(|&signal| ignored & 1 << (signal as i32 - 1) == 0);
        let signals: SigSet = caught.collect();
        let descriptor = SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        signals.thread_block()?;
        Ok(Self { signals, descriptor })
    }

    /// One that has come.
    pub fn take(&self) -> nix::Result<Option<Signal>> {
        let taken = self.descriptor.read_signal()?;
        Ok(taken.and_then(|information| Signal::try_from(information.ssi_signo as i32).ok()))
    }

    /// Ends this process as the signal would have ended it. A pid 1 does not die of it: then its exit status is said.
    pub fn pass_on(self, signal: Signal) -> nix::Result<i32> {
        raise(signal)?;
        self.signals.thread_unblock()?;
        Ok(128 + signal as i32)
    }
}

impl AsFd for Interrupt {
    /// Readable when one has come.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_taken_once() {
        let interrupt = Interrupt::catch(0).unwrap();
        assert_eq!(interrupt.take(), Ok(None));
        raise(Signal::SIGTERM).unwrap();
        assert_eq!(interrupt.take(), Ok(Some(Signal::SIGTERM)));
        assert_eq!(interrupt.take(), Ok(None));
        interrupt.signals.thread_unblock().unwrap();
    }

    #[test]
    fn what_is_ignored_stays_so() {
        let interrupt = Interrupt::catch(1 << (Signal::SIGINT as i32 - 1)).unwrap();
        assert!(!interrupt.signals.contains(Signal::SIGINT));
        assert!(interrupt.signals.contains(Signal::SIGHUP));
        interrupt.signals.thread_unblock().unwrap();
    }
}
