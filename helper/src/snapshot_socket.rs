//! The socket on which `snapshot` waits for the agent: in a new directory of the JVM's own /tmp, so that the JVM finds it
//! wherever its root directory is.
//!
//! # Safety contract of this file
//! `unsafe` takes ownership of a descriptor that accept4(2) has just made.
#![allow(unsafe_code)]

use crate::exit::{ExitCode, Failure};
use crate::proc::Process;
use crate::proc::status::Status;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, accept4, bind, listen, socket};
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, chown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const NAME: &str = "control";
/// Whether the JVM is still there.
const LOOKS_EVERY: Duration = Duration::from_millis(500);

pub struct SnapshotSocket {
    listener: OwnedFd,
    directory: OwnDirectory,
    process: Process,
}

fn failed(process: Process, what: &str, error: impl std::fmt::Display) -> Failure {
    let remedy = "its /tmp must be writable";
    Failure::new(ExitCode::CaptureFailed, format!("cannot {what} for JVM {}: {error}; {remedy}", process.0))
}

impl SnapshotSocket {
    pub fn create(process: Process, status: &Status) -> Result<Self, Failure> {
        let name = format!(".hotfork-{}-{}", status.namespace_pid, std::process::id());
        let directory =
            OwnDirectory::make(process, name).map_err(|error| failed(process, "make a directory", error))?;
        let listener = bound(&directory.path(), status).map_err(|error| failed(process, "make a socket", error))?;
        Ok(Self { listener, directory, process })
    }

    /// The socket's path as the JVM sees it.
    pub fn path_in_jvm(&self) -> PathBuf {
        Path::new("/tmp").join(&self.directory.name).join(NAME)
    }

    /// The first connection of the JVM itself; others are closed.
    pub fn accept(&self, timeout: Duration) -> Result<OwnedFd, Failure> {
        let start = Instant::now();
        loop {
            let left = timeout.saturating_sub(start.elapsed());
            let wait = PollTimeout::try_from(left.min(LOOKS_EVERY)).unwrap_or(PollTimeout::MAX);
            match poll(&mut [PollFd::new(self.listener.as_fd(), PollFlags::POLLIN)], wait) {
                Ok(0) | Err(Errno::EINTR) if left.is_zero() => {
                    let why =
                        format!("the agent in JVM {} does not connect within {} s", self.process.0, timeout.as_secs());
                    return Err(Failure::new(
                        ExitCode::CaptureFailed,
                        format!("{why}; its reason is on the JVM's stderr"),
                    ));
                }
                // A zombie has no memory, and would connect no more than one that is gone.
                Ok(0) if fs::read(self.process.path("cmdline")).map_or(true, |line| line.is_empty()) => {
                    let why = format!("JVM {} ended before the agent connected", self.process.0);
                    return Err(Failure::new(ExitCode::CaptureFailed, format!("{why}; its last lines may say why")));
                }
                Ok(0) | Err(Errno::EINTR) => continue,
                Ok(_) => {}
                Err(errno) => return Err(failed(self.process, "wait", errno)),
            }
            let connection = take(&self.listener).map_err(|errno| failed(self.process, "accept", errno))?;
            let peer = nix::sys::socket::getsockopt(&connection, nix::sys::socket::sockopt::PeerCredentials);
            if peer.map_err(|errno| failed(self.process, "ask who connects", errno))?.pid() == self.process.0 {
                return Ok(connection);
            }
        }
    }
}

/// Removed at its end, also when the JVM has ended: /proc/PID/root is no way any more then.
struct OwnDirectory {
    /// The JVM's /tmp.
    parent: File,
    name: String,
}

impl OwnDirectory {
    fn make(process: Process, name: String) -> io::Result<Self> {
        let directory = Self { parent: File::open(process.path("root/tmp"))?, name };
        match DirBuilder::new().mode(0o700).create(directory.path()) {
            Ok(()) => Ok(directory),
            Err(error) => {
                // Somebody else's, whatever it is.
                std::mem::forget(directory);
                Err(error)
            }
        }
    }

    fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{}", self.parent.as_raw_fd(), self.name))
    }
}

impl Drop for OwnDirectory {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(self.path()) {
            log::warn!("cannot remove /tmp/{} of a JVM: {error}", self.name);
        }
    }
}

fn take(listener: &OwnedFd) -> nix::Result<OwnedFd> {
    let number = accept4(listener.as_raw_fd(), SockFlag::SOCK_CLOEXEC)?;
    // SAFETY: accept4 returned this number to us a moment ago; no other code of this process has it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

fn bound(directory: &Path, status: &Status) -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let listener = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)?;
    let path = directory.join(NAME);
    bind(listener.as_raw_fd(), &UnixAddr::new(&path)?)?;
    listen(&listener, Backlog::new(4)?)?;
    // root lets the JVM's user in.
    if nix::unistd::geteuid().as_raw() != status.uid {
        chown(&path, Some(status.uid), Some(status.gid))?;
        chown(directory, Some(status.uid), Some(status.gid))?;
    }
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proc::status;
    use nix::sys::socket::connect;

    fn own() -> (Process, Status) {
        let process = Process(std::process::id() as i32);
        (process, process.parse("status", status::parse).unwrap())
    }

    #[test]
    fn the_jvm_itself_is_let_in_and_nothing_is_left() {
        let (process, status) = own();
        let socket_of = SnapshotSocket::create(process, &status).unwrap();
        let path = socket_of.path_in_jvm();
        let client = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None).unwrap();
        connect(client.as_raw_fd(), &UnixAddr::new(&path).unwrap()).unwrap();
        socket_of.accept(Duration::from_secs(5)).unwrap();
        drop(socket_of);
        assert!(!path.parent().unwrap().exists());
    }

    #[test]
    fn a_jvm_that_ends_is_not_waited_for() {
        let (_, status) = own();
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process(child.id() as i32);
        let status = Status { namespace_pid: process.0, ..status };
        let socket_of = SnapshotSocket::create(process, &status).unwrap();
        let path = socket_of.path_in_jvm();
        child.kill().unwrap();
        let failure = socket_of.accept(Duration::from_secs(60)).unwrap_err();
        let expected = format!("JVM {} ended before the agent connected; its last lines may say why", process.0);
        assert_eq!(failure.message, expected);
        drop(socket_of);
        assert!(!path.parent().unwrap().exists());
        child.wait().unwrap();
    }

    #[test]
    fn an_agent_that_does_not_come_is_told() {
        let (process, status) = own();
        let status = Status { namespace_pid: status.namespace_pid + 1_000_000, ..status };
        let failure = SnapshotSocket::create(process, &status).unwrap().accept(Duration::from_millis(1)).unwrap_err();
        let expected =
            format!("the agent in JVM {} does not connect within 0 s; its reason is on the JVM's stderr", process.0);
        assert_eq!(failure.message, expected);
    }
}
