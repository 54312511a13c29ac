//! The agent's side of the conversation with the helper (see `hotfork_abi::capture`).
//!
//! # Safety contract of this file
//! `unsafe` waits for the template by raw pid, with __WALL because its exit signal is 0.
#![allow(unsafe_code)]

use super::spawn::{Adopted, Helper, start_helper};
use super::{CaptureError, Outcome, begin};
use crate::options::Options;
use hotfork_abi::capture::{ABANDONED, FORKED, Forked, KEPT, READY, REFUSED, Refused, SAVED, Saved};
use hotfork_abi::{Plain, Text};
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixAddr, connect, recvmsg, setsockopt, socket,
    sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};
use std::fs::File;
use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::time::Duration;

/// Reading /proc of a large JVM takes the helper milliseconds; a minute means that it hangs.
const HELPER_ANSWERS: Duration = Duration::from_secs(60);
/// Saving writes gigabytes at the disk's pace.
const HELPER_SAVES: Duration = Duration::from_secs(600);

pub struct Session {
    socket: OwnedFd,
    /// Waited for after the socket is closed.
    _helper: Adopted,
    tasks: File,
    descriptor_list: File,
    template_control: OwnedFd,
    own: [RawFd; 6],
    image: PathBuf,
}

impl Session {
    /// Starts the helper, or meets the one that waits, and hears that nothing has to be refused.
    pub fn open(options: &Options, occasion: &begin::Occasion) -> Result<Self, CaptureError> {
        let open = |path: &'static str| {
            File::open(path).map_err(|error| CaptureError::System { what: path, reason: error.to_string() })
        };
        if options.image.is_none() {
            return Err(CaptureError::NoImage);
        }
        let (tasks, descriptor_list) = (open("/proc/self/task")?, open("/proc/self/fd")?);
        let Helper { socket, adopted } = match &options.control {
            Some(path) => Helper { socket: meet(path)?, adopted: Adopted::none() },
            None => start_helper(&begin::helper_path(options)?, &["serve-capture"])?,
        };
        limit_sending(&socket)?;
        let (listener, load) = (crate::control::listener(), crate::load::socket());
        let mut own = [socket.as_raw_fd(), tasks.as_raw_fd(), descriptor_list.as_raw_fd(), -1, listener, load];
        let begin = begin::begin(options, occasion, &own)?;
        send(&socket, begin.as_bytes(), "the greeting")?;
        let control = ready(&socket)?;
        own[3] = control.as_raw_fd();
        let image = PathBuf::from(begin.image.as_str());
        Ok(Self { socket, _helper: adopted, tasks, descriptor_list, template_control: control, own, image })
    }

    pub fn socket(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    pub fn tasks(&self) -> RawFd {
        self.tasks.as_raw_fd()
    }

    pub fn descriptor_list(&self) -> RawFd {
        self.descriptor_list.as_raw_fd()
    }

    pub fn template_control(&self) -> RawFd {
        self.template_control.as_raw_fd()
    }

    pub fn own_descriptors(&self) -> &[RawFd] {
        &self.own
    }

    /// Waits until the helper has written the image and ended the template.
    pub fn save(&mut self, template: i32, stop_began: u64, stopped: u64) -> Result<Outcome, CaptureError> {
        let result = self.saved(template, stop_began, stopped);
        if result.is_err() {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(template), nix::sys::signal::Signal::SIGKILL);
        }
        reap(template);
        result
    }

    fn saved(&mut self, template: i32, stop_began: u64, stopped: u64) -> Result<Outcome, CaptureError> {
        let forked = Forked { kind: FORKED, template_pid: template, stop_began, stopped };
        send(&self.socket, forked.as_bytes(), "saving")?;
        let mut bytes = [0; size_of::<Refused>()];
        let (length, _) = receive(&self.socket, &mut bytes, HELPER_SAVES, "saving")?;
        if let (KEPT, Some(kept)) = (kind(&bytes), Refused::read(&bytes[..length])) {
            return Ok(Outcome::Kept { why: kept.reason.as_str().to_owned() });
        }
        match (kind(&bytes), Saved::read(&bytes[..length])) {
            (SAVED, Some(saved)) => {
                let (size, saving) = (saved.image_size, saved.saving);
                let trial_failed = saved.trial_failed.as_str().to_owned();
                let poor = (saved.poor != 0).then_some(saved.cost);
                Ok(Outcome::Saved { image: self.image.clone(), size, stopped, saving, trial_failed, poor })
            }
            _ => Err(refusal(&bytes[..length], "saving")),
        }
    }

    /// Tells the helper that nothing comes of it. It may be the one that knows best; then nobody listens.
    pub fn abandon(&self, error: &CaptureError) {
        let message = Refused { kind: ABANDONED, exit_code: error.exit_code(), reason: Text::new(&error.to_string()) };
        if let Err(error) = send(&self.socket, message.as_bytes(), "the end") {
            log::debug!("the helper does not hear that the capture is abandoned: {error}");
        }
    }
}

/// Tells a helper that waits at `control` that there will be no capture, and why.
pub fn tell(control: &PathBuf, error: &CaptureError) -> Result<(), CaptureError> {
    let message = Refused { kind: ABANDONED, exit_code: error.exit_code(), reason: Text::new(&error.to_string()) };
    send(&meet(control)?, message.as_bytes(), "the greeting")
}

/// Waits for a template whose exit signal is 0.
pub fn reap(template: i32) {
    // SAFETY: waitpid writes no status (null) and takes numbers; the pid is our own child's.
    while unsafe { libc::waitpid(template, std::ptr::null_mut(), libc::__WALL) } < 0
        && nix::errno::Errno::last() == nix::errno::Errno::EINTR
    {}
}

/// Connects to a helper that waits at a socket.
pub fn meet(path: &PathBuf) -> Result<OwnedFd, CaptureError> {
    let failed =
        |errno: nix::errno::Errno| CaptureError::ReachHelper { path: path.clone(), reason: errno.desc().to_string() };
    let socket = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None).map_err(failed)?;
    connect(socket.as_raw_fd(), &UnixAddr::new(path).map_err(failed)?).map_err(failed)?;
    let peer = nix::sys::socket::getsockopt(&socket, sockopt::PeerCredentials).map_err(failed)?;
    let own = nix::unistd::geteuid().as_raw();
    if peer.uid() != own && peer.uid() != 0 {
        return Err(CaptureError::ReachHelper {
            path: path.clone(),
            reason: format!("it belongs to user {}, not to {own} or root", peer.uid()),
        });
    }
    Ok(socket)
}

/// A helper that does not read must not keep threads frozen.
pub fn limit_sending(socket: &OwnedFd) -> Result<(), CaptureError> {
    setsockopt(socket, sockopt::SendTimeout, &TimeVal::milliseconds(100))
        .map_err(|errno| CaptureError::System { what: "limiting the time to send", reason: errno.desc().to_string() })
}

fn ready(socket: &OwnedFd) -> Result<OwnedFd, CaptureError> {
    let mut bytes = [0; size_of::<Refused>()];
    let (length, control) = receive(socket, &mut bytes, HELPER_ANSWERS, "the greeting")?;
    match (kind(&bytes), control) {
        (READY, Some(control)) => Ok(control),
        _ => Err(refusal(&bytes[..length], "the greeting")),
    }
}

fn kind(bytes: &[u8]) -> u32 {
    bytes.first_chunk::<4>().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

fn refusal(bytes: &[u8], during: &'static str) -> CaptureError {
    match Refused::read(bytes) {
        Some(refused) if refused.kind == REFUSED => refused.into(),
        _ => CaptureError::HelperLost { during, reason: "it sent an unknown message".into() },
    }
}

fn send(socket: &OwnedFd, bytes: &[u8], during: &'static str) -> Result<(), CaptureError> {
    nix::sys::socket::send(socket.as_raw_fd(), bytes, MsgFlags::MSG_NOSIGNAL)
        .map(|_| ())
        .map_err(|errno| CaptureError::HelperLost { during, reason: errno.desc().to_string() })
}

fn receive(
    socket: &OwnedFd,
    bytes: &mut [u8],
    patience: Duration,
    during: &'static str,
) -> Result<(usize, Option<OwnedFd>), CaptureError> {
    let lost = |reason: &str| CaptureError::HelperLost { during, reason: reason.into() };
    let patience = TimeVal::milliseconds(patience.as_millis() as i64);
    setsockopt(socket, sockopt::ReceiveTimeout, &patience).map_err(|errno| lost(errno.desc()))?;
    let mut space = nix::cmsg_space!(RawFd);
    let mut vectors = [IoSliceMut::new(bytes)];
    let message = loop {
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        match recvmsg::<()>(socket.as_raw_fd(), &mut vectors, Some(&mut space), flags) {
            Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(lost(errno.desc())),
            Ok(message) => break message,
        }
    };
    if message.bytes == 0 {
        return Err(lost("it closed the connection"));
    }
    let mut descriptor = None;
    for control in message.cmsgs().map_err(|errno| lost(errno.desc()))? {
        if let ControlMessageOwned::ScmRights(numbers) = control {
            for number in numbers {
                // SAFETY: the kernel has just installed this descriptor for us; nobody else knows it.
                descriptor = Some(unsafe { OwnedFd::from_raw_fd(number) });
            }
        }
    }
    Ok((message.bytes, descriptor))
}
