//! Socket options that an instance gets back: those that differ from a fresh socket's.

use super::sys;
use crate::image::manifest::SocketOptions;
use nix::errno::Errno;
use std::os::fd::{AsFd, OwnedFd};

/// SO_BUF_LOCK since Linux 5.14: which buffer sizes were set by hand.
const SO_BUF_LOCK: i32 = 72;
const SEND_BUFFER_SET: i32 = 1;
const RECEIVE_BUFFER_SET: i32 = 2;

/// What connections are asked for: every question costs time while the JVM is frozen.
const OPTIONS: &[(i32, i32)] = &[
    (libc::SOL_SOCKET, libc::SO_REUSEADDR),
    (libc::SOL_SOCKET, libc::SO_KEEPALIVE),
    (libc::SOL_SOCKET, libc::SO_LINGER),
    (libc::SOL_SOCKET, libc::SO_OOBINLINE),
    (libc::SOL_SOCKET, libc::SO_RCVTIMEO),
    (libc::SOL_SOCKET, libc::SO_SNDTIMEO),
    (libc::IPPROTO_IP, libc::IP_TOS),
    (libc::IPPROTO_TCP, libc::TCP_NODELAY),
    (libc::IPPROTO_TCP, libc::TCP_CORK),
    (libc::IPPROTO_TCP, libc::TCP_KEEPIDLE),
    (libc::IPPROTO_TCP, libc::TCP_KEEPINTVL),
    (libc::IPPROTO_TCP, libc::TCP_KEEPCNT),
    (libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT),
];
/// Besides the above for AF_INET6.
const OPTIONS_V6: &[(i32, i32)] = &[(libc::IPPROTO_IPV6, libc::IPV6_TCLASS)];
/// Besides the above for sockets that listen or will: accepted connections inherit them.
const OPTIONS_UNCONNECTED: &[(i32, i32)] = &[
    (libc::SOL_SOCKET, libc::SO_REUSEPORT),
    (libc::SOL_SOCKET, libc::SO_DONTROUTE),
    (libc::SOL_SOCKET, libc::SO_RCVLOWAT),
    (libc::IPPROTO_IP, libc::IP_TTL),
    (libc::IPPROTO_IP, libc::IP_FREEBIND),
    (libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT),
    (libc::IPPROTO_TCP, libc::TCP_LINGER2),
    (libc::IPPROTO_TCP, libc::TCP_SYNCNT),
    (libc::IPPROTO_TCP, libc::TCP_NOTSENT_LOWAT),
    (libc::IPPROTO_TCP, libc::TCP_FASTOPEN),
];
const OPTIONS_UNCONNECTED_V6: &[(i32, i32)] = &[(libc::IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS)];

/// Room for the largest of them, a `struct timeval`.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Value {
    bytes: [u8; 16],
    length: usize,
}

impl Value {
    /// `None` for an option that this kernel or this kind of socket does not have.
    fn read(socket: impl AsFd, (level, name): (i32, i32)) -> Option<Self> {
        let mut bytes = [0; 16];
        let length = sys::socket_option(socket, level, name, &mut bytes).ok()?;
        Some(Self { bytes, length })
    }
}

type Values = Vec<((i32, i32), Value)>;

/// What fresh TCP sockets of each family have.
pub struct Defaults {
    v4: Family,
    v6: Family,
}

#[derive(Default)]
struct Family {
    all: Values,
    unconnected: Values,
}

impl Family {
    fn of(family: i32, v6: &[(i32, i32)], unconnected_v6: &[(i32, i32)]) -> Self {
        // A host without the family has no socket of it that could be recorded.
        let Ok(socket) = sys::socket(family, libc::SOCK_STREAM, 0) else { return Self::default() };
        let read = |one: &[(i32, i32)], other: &[(i32, i32)]| {
            let options = one.iter().chain(other);
            options.filter_map(|&option| Some((option, Value::read(&socket, option)?))).collect()
        };
        Self { all: read(OPTIONS, v6), unconnected: read(OPTIONS_UNCONNECTED, unconnected_v6) }
    }
}

impl Defaults {
    pub fn of_this_host() -> Self {
        Self {
            v4: Family::of(libc::AF_INET, &[], &[]),
            v6: Family::of(libc::AF_INET6, OPTIONS_V6, OPTIONS_UNCONNECTED_V6),
        }
    }

    /// The options of a TCP socket that somebody has set.
    pub fn set_on(&self, socket: impl AsFd, family: i32, connected: bool) -> SocketOptions {
        let socket = socket.as_fd();
        let defaults = if family == libc::AF_INET6 { &self.v6 } else { &self.v4 };
        let unconnected = if connected { &[] } else { defaults.unconnected.as_slice() };
        let mut values = Vec::new();
        for &(option, default) in defaults.all.iter().chain(unconnected) {
            if let Some(value) = Value::read(socket, option).filter(|value| *value != default) {
                values.push((option.0, option.1, value.bytes[..value.length].to_vec()));
            }
        }
        // Kernels before 5.14 do not tell: there the host's own sizes are taken.
        let locked = sys::socket_int(socket, libc::SOL_SOCKET, SO_BUF_LOCK).unwrap_or(0);
        for (bit, name) in [(SEND_BUFFER_SET, libc::SO_SNDBUF), (RECEIVE_BUFFER_SET, libc::SO_RCVBUF)] {
            if locked & bit != 0
                && let Ok(size) = sys::socket_int(socket, libc::SOL_SOCKET, name)
            {
                // The kernel doubles what is set.
                values.push((libc::SOL_SOCKET, name, (size / 2).to_ne_bytes().to_vec()));
            }
        }
        SocketOptions { values }
    }
}

/// Sets them all; the error names the option that would not.
pub fn apply(socket: &OwnedFd, options: &SocketOptions) -> Result<(), String> {
    for (level, name, value) in &options.values {
        sys::set_socket_option(socket, *level, *name, value)
            .map_err(|error: Errno| format!("socket option {name} of level {level}: {}", error.desc()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_socket_has_nothing_set() {
        let socket = sys::socket(libc::AF_INET, libc::SOCK_STREAM, 0).unwrap();
        assert!(Defaults::of_this_host().set_on(&socket, libc::AF_INET, false).values.is_empty());
    }

    #[test]
    fn what_is_set_comes_back() {
        let one = 1i32.to_ne_bytes();
        let socket = sys::socket(libc::AF_INET, libc::SOCK_STREAM, 0).unwrap();
        sys::set_socket_option(&socket, libc::IPPROTO_TCP, libc::TCP_NODELAY, &one).unwrap();
        sys::set_socket_option(&socket, libc::SOL_SOCKET, libc::SO_LINGER, &[1, 0, 0, 0, 7, 0, 0, 0]).unwrap();
        sys::set_socket_option(&socket, libc::SOL_SOCKET, libc::SO_RCVBUF, &50_000i32.to_ne_bytes()).unwrap();
        let defaults = Defaults::of_this_host();
        let options = defaults.set_on(&socket, libc::AF_INET, false);
        assert_eq!(
            options.values,
            [
                (libc::SOL_SOCKET, libc::SO_LINGER, vec![1, 0, 0, 0, 7, 0, 0, 0]),
                (libc::IPPROTO_TCP, libc::TCP_NODELAY, one.to_vec()),
                (libc::SOL_SOCKET, libc::SO_RCVBUF, 50_000i32.to_ne_bytes().to_vec()),
            ]
        );
        let again = sys::socket(libc::AF_INET, libc::SOCK_STREAM, 0).unwrap();
        apply(&again, &options).unwrap();
        assert_eq!(defaults.set_on(&again, libc::AF_INET, false), options);
    }

    #[test]
    fn an_option_that_is_refused_is_named() {
        let socket = sys::socket(libc::AF_INET, libc::SOCK_STREAM, 0).unwrap();
        let options = SocketOptions { values: vec![(libc::IPPROTO_TCP, 9999, vec![0; 4])] };
        assert_eq!(apply(&socket, &options).unwrap_err(), "socket option 9999 of level 6: Protocol not available");
    }
}
