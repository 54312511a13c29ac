//! Listening sockets: bound and listening before the threads run, so that early connections wait.

use super::Subject;
use super::moves::PortMoves;
use crate::descriptors::{options, sys};
use crate::exit::{ExitCode, Failure};
use crate::image::manifest::SocketOptions;
use nix::errno::Errno;
use nix::sys::socket::{Backlog, SockaddrStorage, UnixAddr, bind, connect, getsockname, listen};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

pub struct Listeners<'a> {
    moves: &'a PortMoves,
    /// Old port to the one that the kernel chose: all listeners of one port stay together.
    chosen: HashMap<u16, u16>,
    lines: Vec<String>,
}

impl<'a> Listeners<'a> {
    pub fn new(moves: &'a PortMoves) -> Self {
        Self { moves, chosen: HashMap::new(), lines: Vec::new() }
    }

    pub(super) fn tcp(
        &mut self,
        what: &Subject,
        address: &str,
        v6only: bool,
        options: &SocketOptions,
        backlog: i32,
    ) -> Result<OwnedFd, Failure> {
        let recorded = super::socket::parse(what, address)?;
        let old = recorded.port();
        let mut wanted = recorded;
        if let Some(new) = self.moves.of(old) {
            wanted.set_port(self.chosen.get(&old).copied().unwrap_or(new));
        }
        let socket = super::socket::internet(what, family(&recorded), v6only, options)?;
        super::socket::bind_to(what, &socket, wanted, Some(old))?;
        listen(&socket, backlog_of(backlog)).map_err(|error| cannot_listen(what, wanted, Some(old), error))?;
        if self.moves.of(old).is_some() {
            let port = bound_port(&socket).map_err(|error| what.failed(error))?;
            self.chosen.insert(old, port);
            wanted.set_port(port);
            let line = format!("listening on {} (was {old})", shown(wanted));
            if !self.lines.contains(&line) {
                self.lines.push(line);
            }
        }
        Ok(socket)
    }

    pub fn into_lines(self) -> Vec<String> {
        self.lines
    }
}

pub(super) fn family(address: &SocketAddr) -> i32 {
    if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 }
}

fn bound_port(socket: &OwnedFd) -> Result<u16, Errno> {
    let address = getsockname::<SockaddrStorage>(socket.as_raw_fd())?;
    let v4 = address.as_sockaddr_in().map(|address| address.port());
    v4.or_else(|| address.as_sockaddr_in6().map(|address| address.port())).ok_or(Errno::EAFNOSUPPORT)
}

fn backlog_of(backlog: i32) -> Backlog {
    Backlog::new(backlog).unwrap_or(Backlog::MAXCONN)
}

/// `127.0.0.1` rather than `::ffff:127.0.0.1`.
pub(super) fn shown(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some() => SocketAddr::new(ip.to_canonical(), address.port()),
        _ => address,
    }
}

/// `movable` is the port that --listen would name.
pub(super) fn cannot_listen(what: &Subject, wanted: SocketAddr, movable: Option<u16>, error: Errno) -> Failure {
    let remedy = match (error, movable) {
        (Errno::EADDRINUSE, Some(old)) => {
            format!("stop whoever has the port, or choose another one with --listen {old}=NEW (0: the kernel chooses)")
        }
        (Errno::EADDRINUSE, None) => "stop whoever has the port".to_owned(),
        (Errno::EADDRNOTAVAIL, _) => {
            "this host does not have that address: restore where it is, or capture with a wildcard address".to_owned()
        }
        (Errno::EACCES, Some(old)) => {
            format!("allow this user the port, or choose another one with --listen {old}=NEW")
        }
        _ => "the image needs this address".to_owned(),
    };
    what.fail(ExitCode::HostResource, format_args!("cannot listen on {}: {}; {remedy}", shown(wanted), error.desc()))
}

pub(super) fn unix(what: &Subject, address: &[u8], socket_type: i32, backlog: i32) -> Result<OwnedFd, Failure> {
    let failed = |error: Errno, remedy: &str| {
        let name = match address.split_first() {
            Some((0, name)) => format!("@{}", String::from_utf8_lossy(name)),
            _ => String::from_utf8_lossy(address).into_owned(),
        };
        what.fail(ExitCode::HostResource, format_args!("cannot listen on {name}: {}; {remedy}", error.desc()))
    };
    let any = "the image needs this address";
    let bound_to = match address.split_first() {
        Some((0, name)) => UnixAddr::new_abstract(name),
        _ => UnixAddr::new(OsStr::from_bytes(address)),
    }
    .map_err(|error| failed(error, any))?;
    let nonblock = what.flag(libc::O_NONBLOCK);
    let socket = sys::socket(libc::AF_UNIX, socket_type | nonblock, 0).map_err(|error| what.failed(error))?;
    match bind(socket.as_raw_fd(), &bound_to) {
        Ok(()) => {}
        Err(Errno::EADDRINUSE) if is_left_over(&bound_to, address, socket_type) => {
            // Nobody answers there: a listener that ended has left its name behind.
            nix::unistd::unlink(Path::new(OsStr::from_bytes(address)))
                .map_err(|error| failed(error, "remove the file"))?;
            bind(socket.as_raw_fd(), &bound_to).map_err(|error| failed(error, any))?;
        }
        Err(Errno::EADDRINUSE) => {
            return Err(failed(Errno::EADDRINUSE, "stop whoever has it, or remove what is there"));
        }
        Err(error) => return Err(failed(error, "its directory must exist and be writable")),
    }
    listen(&socket, backlog_of(backlog)).map_err(|error| failed(error, any))?;
    Ok(socket)
}

fn is_left_over(address: &UnixAddr, path: &[u8], socket_type: i32) -> bool {
    let is_socket = || {
        let found = std::fs::symlink_metadata(Path::new(OsStr::from_bytes(path)));
        found.is_ok_and(|found| found.file_type().is_socket())
    };
    let refused = || {
        let probe = sys::socket(libc::AF_UNIX, socket_type | libc::SOCK_NONBLOCK, 0)?;
        connect(probe.as_raw_fd(), address)
    };
    path.first() == Some(&b'/') && is_socket() && refused() == Err(Errno::ECONNREFUSED)
}

/// Sets what the captured socket had before it is bound.
pub(super) fn set_options(what: &Subject, socket: &OwnedFd, options: &SocketOptions) -> Result<(), Failure> {
    options::apply(socket, options)
        .map_err(|why| what.fail(ExitCode::DoesNotFit, format_args!("{why}; this kernel lacks what the image's has")))
}
