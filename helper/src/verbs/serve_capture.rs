//! `hotfork serve-capture`: the agent's other half during one capture.
//!
//! # Safety contract of this file
//! `unsafe` takes ownership of the descriptor that the agent left open for this process, and ignores a signal, which runs
//! no code.
#![allow(unsafe_code)]

use crate::cli::ServeCaptureArgs;
use crate::exit::{ExitCode, Failure};
use crate::save::{Options, Packets, serve};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::sys::socket::{SockType, getsockopt, sockopt};
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd};

pub fn run(args: ServeCaptureArgs) -> Result<i32, Failure> {
    be_killed_first();
    survive_size_limit();
    let agent = Packets::new(take_socket(args.socket)?, "the agent");
    serve(&agent, Options { image: None, again: false, progress: &mut |_, _| () })?;
    Ok(0)
}

pub fn take_socket(number: i32) -> Result<OwnedFd, Failure> {
    let refuse = || {
        Failure::new(ExitCode::Usage, format!("descriptor {number} is no socket of an agent: use `hotfork snapshot`"))
    };
    // The standard three belong to the process as a whole.
    if number < 3 {
        return Err(refuse());
    }
    // SAFETY: a borrow for one fcntl and one getsockopt, which only ask whether the number is open and what it is.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    fcntl(borrowed, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).map_err(|_| refuse())?;
    if getsockopt(&borrowed, sockopt::SockType).map_err(|_| refuse())? != SockType::SeqPacket {
        return Err(refuse());
    }
    // SAFETY: the number is open (asked above), came with exec, and nothing else in this process knows it: ours to close.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// When memory runs out, the helper goes, never the application.
pub fn be_killed_first() {
    if let Err(error) = std::fs::write("/proc/self/oom_score_adj", "1000") {
        log::warn!("cannot raise oom_score_adj: {error}");
    }
}

/// A limit of file sizes (ulimit -f) is to be an error with a line, not a silent end.
fn survive_size_limit() {
    // SAFETY: SIG_IGN installs no handler.
    if let Err(errno) = unsafe { signal(Signal::SIGXFSZ, SigHandler::SigIgn) } {
        log::warn!("cannot ignore SIGXFSZ: {errno}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::{AsRawFd, IntoRawFd};

    #[test]
    fn what_is_no_socket_is_refused() {
        let file = std::fs::File::open("/dev/null").unwrap();
        for number in [0, 9999, file.as_raw_fd()] {
            let failure = take_socket(number).unwrap_err();
            assert_eq!(failure.code, ExitCode::Usage);
            assert_eq!(
                failure.message,
                format!("descriptor {number} is no socket of an agent: use `hotfork snapshot`")
            );
        }
    }

    #[test]
    fn a_packet_socket_is_taken() {
        let (_own, other) = Packets::pair("the agent").unwrap();
        let number = other.into_raw_fd();
        assert_eq!(take_socket(number).unwrap().as_raw_fd(), number);
    }
}
