//! Sockets that do not listen: dead ones and fresh ones.

use super::Subject;
use super::listener::{cannot_listen, family, set_options};
use crate::descriptors::sys;
use crate::exit::{ExitCode, Failure};
use crate::image::manifest::{Kind, SocketOptions};
use nix::errno::Errno;
use nix::sys::socket::{Shutdown, SockaddrStorage, bind, shutdown};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};

pub(super) fn make(what: &Subject) -> Result<OwnedFd, Failure> {
    let nonblock = what.flag(libc::O_NONBLOCK);
    match &what.description.kind {
        Kind::DeadSocket { family, socket_type, protocol, options } => {
            let socket = new(what, *family, socket_type | nonblock, *protocol)?;
            set_options(what, &socket, options)?;
            // Answers ENOTCONN and takes effect all the same: read gives EOF, write EPIPE, poll IN|RDHUP|HUP.
            match shutdown(socket.as_raw_fd(), Shutdown::Both) {
                Ok(()) | Err(Errno::ENOTCONN) => Ok(socket),
                Err(error) => Err(what.failed(error)),
            }
        }
        // Shutting down a fresh Unix socket has no effect; one end of a pair whose other end is gone is dead.
        Kind::DeadPair { socket_type } => {
            let pair = sys::socket_pair(libc::AF_UNIX, socket_type | nonblock).map_err(|error| what.failed(error))?;
            Ok(pair.0)
        }
        Kind::FreshSocket { family: libc::AF_UNIX, socket_type, .. } => {
            new(what, libc::AF_UNIX, socket_type | nonblock, 0)
        }
        Kind::FreshSocket { family: recorded, bound, v6only, options, .. } => {
            let socket = internet(what, *recorded, *v6only, options)?;
            if let Some(address) = bound {
                bind_to(what, &socket, parse(what, address)?, None)?;
            }
            Ok(socket)
        }
        _ => new(what, libc::AF_UNIX, libc::SOCK_STREAM | nonblock, 0),
    }
}

fn new(what: &Subject, family: i32, socket_type: i32, protocol: i32) -> Result<OwnedFd, Failure> {
    sys::socket(family, socket_type, protocol).map_err(|error| match error {
        Errno::EAFNOSUPPORT if family == libc::AF_INET6 => what.fail(
            ExitCode::DoesNotFit,
            "the image has IPv6 sockets and this host has no IPv6; enable it, or capture with -Djava.net.preferIPv4Stack=true",
        ),
        error => what.failed(error),
    })
}

/// A TCP socket with its options, neither bound nor connected.
pub(super) fn internet(what: &Subject, family: i32, v6only: bool, options: &SocketOptions) -> Result<OwnedFd, Failure> {
    let socket = new(what, family, libc::SOCK_STREAM | what.flag(libc::O_NONBLOCK), libc::IPPROTO_TCP)?;
    if family == libc::AF_INET6 {
        let only = i32::from(v6only).to_ne_bytes();
        sys::set_socket_option(&socket, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, &only)
            .map_err(|error| what.failed(error))?;
    }
    set_options(what, &socket, options)?;
    Ok(socket)
}

pub(super) fn bind_to(
    what: &Subject,
    socket: &OwnedFd,
    address: SocketAddr,
    movable: Option<u16>,
) -> Result<(), Failure> {
    bind(socket.as_raw_fd(), &SockaddrStorage::from(address))
        .map_err(|error| cannot_listen(what, address, movable, error))
}

pub(super) fn parse(what: &Subject, address: &str) -> Result<SocketAddr, Failure> {
    let parsed = address.parse::<SocketAddr>().ok().filter(|parsed| family(parsed) != 0);
    parsed.ok_or_else(|| {
        what.fail(ExitCode::ImageDamaged, format_args!("{address:?} is no socket address; take the image again"))
    })
}
