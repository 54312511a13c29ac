//! Socket options that an instance gets back: those that differ from a fresh socket's.

use super::sys;
use crate::image::manifest::SocketOptions;
use nix::errno::Errno;
use std::os::fd::{AsFd, OwnedFd};

/// SO_BUF_LOCK since Linux 5.14: which buffer sizes were set by hand.
const SO_BUF_LOCK: i32 = 72;
const SEND_BUFFER_SET: i32 = 1;
const RECEIVE_BUFFER_SET: i32 = 2;

const OPTIONS: &[(i32, i32)] = &[
    (libc::SOL_SOCKET, libc::SO_REUSEADDR),
    (libc::SOL_SOCKET, libc::SO_REUSEPORT),
    (libc::SOL_SOCKET, libc::SO_KEEPALIVE),
    (libc::SOL_SOCKET, libc::SO_LINGER),
    (libc::SOL_SOCKET, libc::SO_OOBINLINE),
    (libc::SOL_SOCKET, libc::SO_DONTROUTE),
    (libc::SOL_SOCKET, libc::SO_RCVLOWAT),
    (libc::SOL_SOCKET, libc::SO_RCVTIMEO),
    (libc::SOL_SOCKET, libc::SO_SNDTIMEO),
    (libc::IPPROTO_IP, libc::IP_TOS),
    (libc::IPPROTO_IP, libc::IP_TTL),
    (libc::IPPROTO_IP, libc::IP_FREEBIND),
    (libc::IPPROTO_TCP, libc::TCP_NODELAY),
    (libc::IPPROTO_TCP, libc::TCP_CORK),
    (libc::IPPROTO_TCP, libc::TCP_KEEPIDLE),
    (libc::IPPROTO_TCP, libc::TCP_KEEPINTVL),
    (libc::IPPROTO_TCP, libc::TCP_KEEPCNT),
    (libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT),
    (libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT),
    (libc::IPPROTO_TCP, libc::TCP_LINGER2),
    (libc::IPPROTO_TCP, libc::TCP_SYNCNT),
    (libc::IPPROTO_TCP, libc::TCP_NOTSENT_LOWAT),
];
/// Only these are asked of AF_INET6 sockets besides the above.
const OPTIONS_V6: &[(i32, i32)] =
    &[(libc::IPPROTO_IPV6, libc::IPV6_TCLASS), (libc::IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS)];
/// A connected socket answers 0 whatever was set, so these are asked of listeners.
const OPTIONS_LISTENER: &[(i32, i32)] = &[(libc::IPPROTO_TCP, libc::TCP_FASTOPEN)];

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

/// What fresh TCP sockets of each family have.
pub struct Defaults {
    v4: Vec<((i32, i32), Value)>,
    v6: Vec<((i32, i32), Value)>,
}

impl Defaults {
    pub fn of_this_host() -> Self {
        Self { v4: Self::of_family(libc::AF_INET), v6: Self::of_family(libc::AF_INET6) }
    }

    fn of_family(family: i32) -> Vec<((i32, i32), Value)> {
        // A host without the family has no socket of it that could be recorded.
        let Ok(socket) = sys::socket(family, libc::SOCK_STREAM, 0) else { return Vec::new() };
        let more = if family == libc::AF_INET6 { OPTIONS_V6 } else { &[] };
        let all = OPTIONS.iter().chain(OPTIONS_LISTENER).chain(more);
        all.filter_map(|&option| Some((option, Value::read(&socket, option)?))).collect()
    }

    /// The options of a TCP socket that somebody has set.
    pub fn set_on(&self, socket: impl AsFd, family: i32, listener: bool) -> SocketOptions {
        let socket = socket.as_fd();
        let defaults = if family == libc::AF_INET6 { &self.v6 } else { &self.v4 };
        let asked = defaults.iter().filter(|(option, _)| listener || !OPTIONS_LISTENER.contains(option));
        let mut values: Vec<_> = asked
            .filter_map(|&(option, default)| {
                let value = Value::read(socket, option)?;
                (value != default).then(|| (option.0, option.1, value.bytes[..value.length].to_vec()))
            })
            .collect();
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
        assert!(Defaults::of_this_host().set_on(&socket, libc::AF_INET, true).values.is_empty());
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
