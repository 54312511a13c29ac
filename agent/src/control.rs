//! Agent option `control=SOCKET`: a JVM without HotSpot's attach mechanism hears `hotfork snapshot` at a socket of the
//! agent's own. A message holds the options that an attach would bring.
//!
//! # Safety contract of this file
//! `unsafe` takes over a descriptor that accept4(2) has just made.
#![allow(unsafe_code)]

use crate::job::{self, Job, Moment};
use crate::jvm::{JavaError, Jvm};
use crate::options::Options;
use crate::report;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, MsgFlags, SockFlag, SockType, UnixAddr, accept4, bind, connect, getsockopt, listen, recv,
    setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};
use std::fs::{self, Permissions};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};

/// Options of a snapshot: paths of 4096 bytes and a little more.
const MESSAGE_AT_MOST: usize = 16 << 10;
/// Whoever connects speaks at once.
const SPEAKS_WITHIN: i64 = 5000;

/// The listener's number, which is no part of the application's descriptors; -1 without one.
static LISTENER: AtomicI32 = AtomicI32::new(-1);
/// The socket that this process, and not one it was restored from, has made.
static BOUND: Mutex<Option<(u32, PathBuf)>> = Mutex::new(None);

/// The agent's own descriptor, for the record of a capture.
pub fn listener() -> RawFd {
    LISTENER.load(SeqCst)
}

/// Listens, and starts the thread that answers.
pub fn start(jvm: &Jvm, path: PathBuf, options: Options) -> Result<(), JavaError> {
    let failed = |why: &dyn std::fmt::Display| {
        JavaError(format!("control={}: {why}; name a place for a new socket", path.display()))
    };
    let listener = make(&path).map_err(|error| failed(&error))?;
    let image = options.image;
    jvm.spawn("Hotfork control", Box::new(move |jvm| serve(jvm, listener, &path, image.as_deref())))
}

/// VMDeath: the name goes with the JVM.
pub fn remove() {
    let bound = BOUND.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
    if let Some((_, path)) = bound.filter(|(pid, _)| *pid == std::process::id()) {
        if let Err(error) = fs::remove_file(&path) {
            log::debug!("{} stays behind: {error}", path.display());
        }
    }
}

fn serve(jvm: &Jvm, mut listener: OwnedFd, path: &Path, image: Option<&Path>) {
    let mut instance = hotfork_frozen::instance::epoch();
    loop {
        let message = next(&listener);
        if let Ok(text) = &message {
            match Options::parse(text) {
                Ok(Options { watch: true, control: Some(control), .. }) => {
                    if let Err(error) = crate::warm::watch::start(jvm, control) {
                        report::line(&error.to_string());
                    }
                }
                Ok(mut options) => {
                    options.image = options.image.or_else(|| image.map(Path::to_path_buf));
                    job::run(jvm, &Job { options, moment: Moment::Now });
                }
                Err(error) => report::line(&error.to_string()),
            }
        }
        if instance != hotfork_frozen::instance::epoch() {
            // The listener is the captured JVM's, its number here somebody else's or nobody's.
            instance = hotfork_frozen::instance::epoch();
            std::mem::forget(listener);
            LISTENER.store(-1, SeqCst);
            match make(path) {
                Ok(new) => {
                    listener = new;
                    crate::renew::finish();
                }
                Err(error) => {
                    log::debug!("no snapshot of this instance by control={}: {error}", path.display());
                    return;
                }
            }
        } else if let Err(error) = message {
            // Its number may become the application's.
            LISTENER.store(-1, SeqCst);
            report::line(&format!("control={}: {error}; the JVM goes on without it", path.display()));
            return;
        }
    }
}

/// What the next one who may ask asks for; others are not heard.
fn next(listener: &OwnedFd) -> io::Result<String> {
    loop {
        let connection = match accept4(listener.as_raw_fd(), SockFlag::SOCK_CLOEXEC) {
            // SAFETY: accept4 returned this number to us a moment ago; no other code of this process has it.
            Ok(number) => unsafe { OwnedFd::from_raw_fd(number) },
            Err(Errno::EINTR | Errno::ECONNABORTED) => continue,
            Err(errno) => return Err(errno.into()),
        };
        match hear(&connection) {
            Ok(text) => return Ok(text),
            Err(error) => log::debug!("somebody at the control socket is not heard: {error}"),
        }
    }
}

fn hear(connection: &OwnedFd) -> io::Result<String> {
    let (peer, own) = (getsockopt(connection, sockopt::PeerCredentials)?.uid(), nix::unistd::geteuid().as_raw());
    if peer != own && peer != 0 {
        return Err(io::Error::other(format!("it belongs to user {peer}")));
    }
    setsockopt(connection, sockopt::ReceiveTimeout, &TimeVal::milliseconds(SPEAKS_WITHIN))?;
    let mut bytes = vec![0; MESSAGE_AT_MOST];
    let length = recv(connection.as_raw_fd(), &mut bytes, MsgFlags::empty())?;
    if length == 0 {
        return Err(io::Error::other("it said nothing"));
    }
    bytes.truncate(length);
    String::from_utf8(bytes).map_err(io::Error::other)
}

/// A listening socket under this name. One that nobody listens at any more is replaced.
fn make(path: &Path) -> io::Result<OwnedFd> {
    let listener = new_socket()?;
    let address = UnixAddr::new(path)?;
    if let Err(errno) = bind(listener.as_raw_fd(), &address) {
        if errno != Errno::EADDRINUSE || connect(new_socket()?.as_raw_fd(), &address) != Err(Errno::ECONNREFUSED) {
            return Err(errno.into());
        }
        fs::remove_file(path)?;
        bind(listener.as_raw_fd(), &address)?;
    }
    // Who connects is asked for its user besides.
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    listen(&listener, Backlog::new(4)?)?;
    LISTENER.store(listener.as_raw_fd(), SeqCst);
    let absolute = std::path::absolute(path)?;
    *BOUND.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some((std::process::id(), absolute));
    Ok(listener)
}

fn new_socket() -> nix::Result<OwnedFd> {
    socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::send;

    #[test]
    fn a_stale_socket_is_replaced_and_a_living_one_is_not() {
        let path = std::env::temp_dir().join(format!("hotfork-control-{}", std::process::id()));
        drop(make(&path).unwrap());
        let listener = make(&path).unwrap();
        assert_eq!(make(&path).unwrap_err().raw_os_error(), Some(libc::EADDRINUSE));
        let client = new_socket().unwrap();
        connect(client.as_raw_fd(), &UnixAddr::new(&path).unwrap()).unwrap();
        send(client.as_raw_fd(), b"image=/i", MsgFlags::empty()).unwrap();
        // The first that came is the attempt to make it again, which said nothing.
        assert_eq!(next(&listener).unwrap(), "image=/i");
        remove();
        assert!(!path.exists());
    }
}
