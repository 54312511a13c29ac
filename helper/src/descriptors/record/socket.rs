//! Sockets: listeners come back listening, connected ones dead, the rest is refused.

use super::refusal::Refusal;
use crate::descriptors::options::Defaults;
use crate::descriptors::sys;
use crate::image::manifest::Kind;
use nix::errno::Errno;
use nix::sys::socket::{SockaddrLike, SockaddrStorage, getpeername, getsockname};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// State numbers of include/net/tcp_states.h.
const TCP_CLOSE: u8 = 7;
/// Longest path in a sockaddr_un, its NUL not counted.
const LONGEST_PATH: usize = 107;

pub fn record(socket: &OwnedFd, defaults: &Defaults, cwd: &Path) -> Result<Kind, Refusal> {
    let option = |name| sys::socket_int(socket, libc::SOL_SOCKET, name).map_err(unreadable);
    let family = option(libc::SO_DOMAIN)?;
    let socket_type = option(libc::SO_TYPE)?;
    let protocol = option(libc::SO_PROTOCOL)?;
    let listens = option(libc::SO_ACCEPTCONN)? != 0;
    match (family, socket_type, protocol) {
        (libc::AF_INET | libc::AF_INET6, libc::SOCK_STREAM, libc::IPPROTO_TCP) => {
            Tcp { socket, family, defaults }.record(listens)
        }
        (libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_SEQPACKET, _) if listens => {
            unix_listener(socket, socket_type, cwd)
        }
        (libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_SEQPACKET, _) => unix_stream(socket, socket_type),
        _ => Err(Refusal::close(name_of(socket, family, socket_type, protocol))),
    }
}

struct Tcp<'a> {
    socket: &'a OwnedFd,
    family: i32,
    defaults: &'a Defaults,
}

impl Tcp<'_> {
    fn record(&self, listens: bool) -> Result<Kind, Refusal> {
        let family = self.family;
        let (socket_type, protocol) = (libc::SOCK_STREAM, libc::IPPROTO_TCP);
        let mut info = [0; size_of::<libc::tcp_info>()];
        sys::socket_option(self.socket, libc::IPPROTO_TCP, libc::TCP_INFO, &mut info).map_err(unreadable)?;
        let state = info[std::mem::offset_of!(libc::tcp_info, tcpi_state)];
        let connected = !listens && (state != TCP_CLOSE || is_shut_down(self.socket)?);
        let options = self.defaults.set_on(self.socket, family, connected);
        if connected {
            return Ok(Kind::DeadSocket { family, socket_type, protocol, options });
        }
        let (address, v6only) = (self.address()?, self.v6only()?);
        if listens {
            // Of a listening socket tcp_info tells the backlog here.
            let at = std::mem::offset_of!(libc::tcp_info, tcpi_sacked);
            let backlog = i32::from_ne_bytes(info[at..at + 4].try_into().unwrap_or_default());
            return Ok(Kind::TcpListener { address: address.to_string(), v6only, options, backlog });
        }
        let bound = (address.port() != 0 || !address.ip().is_unspecified()).then(|| address.to_string());
        Ok(Kind::FreshSocket { family, socket_type, protocol, bound, v6only, options })
    }

    fn v6only(&self) -> Result<bool, Refusal> {
        if self.family != libc::AF_INET6 {
            return Ok(false);
        }
        sys::socket_int(self.socket, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY).map(|only| only != 0).map_err(unreadable)
    }

    fn address(&self) -> Result<SocketAddr, Refusal> {
        let address = getsockname::<SockaddrStorage>(self.socket.as_raw_fd()).map_err(unreadable)?;
        internet(&address).ok_or_else(|| unreadable(Errno::EAFNOSUPPORT))
    }
}

/// A connection that has ended, in contrast to a socket that never had one.
fn is_shut_down(socket: &OwnedFd) -> Result<bool, Refusal> {
    let events = sys::poll_now(socket, libc::POLLRDHUP).map_err(unreadable)?;
    Ok(events & libc::POLLRDHUP != 0)
}

fn unix_stream(socket: &OwnedFd, socket_type: i32) -> Result<Kind, Refusal> {
    let connected = getpeername::<SockaddrStorage>(socket.as_raw_fd()).is_ok();
    if connected || is_shut_down(socket)? {
        return Ok(Kind::DeadPair { socket_type });
    }
    if let Some(path) = unix_path(socket)? {
        return Err(Refusal::close(format!("a Unix socket bound to {} that does not listen", shown(&path))));
    }
    let options = Default::default();
    Ok(Kind::FreshSocket { family: libc::AF_UNIX, socket_type, protocol: 0, bound: None, v6only: false, options })
}

fn unix_listener(socket: &OwnedFd, socket_type: i32, cwd: &Path) -> Result<Kind, Refusal> {
    let Some(mut address) = unix_path(socket)? else {
        return Err(Refusal::close("a Unix socket that listens without an address"));
    };
    if is_attach_listener(&address) {
        return Ok(Kind::AttachListener);
    }
    if !matches!(address.first(), Some(0 | b'/')) {
        // Relative paths would depend on where the instance is started.
        address = cwd.join(std::ffi::OsStr::from_bytes(&address)).as_os_str().as_bytes().to_vec();
        if address.len() > LONGEST_PATH {
            let what = format!("a Unix listener at {}, too long for an absolute address", shown(&address));
            return Err(Refusal::close(what));
        }
    }
    // The kernel tells it by a netlink socket only, which sandboxes forbid; more room does no harm.
    Ok(Kind::UnixListener { address, socket_type, backlog: libc::SOMAXCONN })
}

/// Path, or NUL and abstract name; `None` for a socket without an address.
fn unix_path(socket: &OwnedFd) -> Result<Option<Vec<u8>>, Refusal> {
    let address = getsockname::<SockaddrStorage>(socket.as_raw_fd()).map_err(unreadable)?;
    Ok(unix_name(&address))
}

fn unix_name(address: &SockaddrStorage) -> Option<Vec<u8>> {
    let address = address.as_unix_addr()?;
    if let Some(name) = address.as_abstract() {
        return Some([&[0], name].concat());
    }
    address.path().map(|path| path.as_os_str().as_bytes().to_vec()).filter(|path| !path.is_empty())
}

/// HotSpot binds `.java_pid<pid>.tmp`, and renames it when it listens.
fn is_attach_listener(address: &[u8]) -> bool {
    let name = address.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let name = name.strip_suffix(b".tmp").unwrap_or(name);
    name.strip_prefix(b".java_pid").is_some_and(|pid| !pid.is_empty() && pid.iter().all(u8::is_ascii_digit))
}

fn name_of(socket: &OwnedFd, family: i32, socket_type: i32, protocol: i32) -> String {
    let kind = match (family, socket_type) {
        (libc::AF_INET | libc::AF_INET6, libc::SOCK_DGRAM) => "a UDP socket".to_owned(),
        (libc::AF_INET | libc::AF_INET6, libc::SOCK_RAW) => "a raw socket".to_owned(),
        (libc::AF_INET | libc::AF_INET6, _) => format!("a socket of IP protocol {protocol}"),
        (libc::AF_UNIX, _) => "a Unix datagram socket".to_owned(),
        (libc::AF_NETLINK, _) => "a netlink socket".to_owned(),
        (libc::AF_PACKET, _) => "a packet socket".to_owned(),
        (libc::AF_VSOCK, _) => "a vsock socket".to_owned(),
        _ => format!("a socket of address family {family}"),
    };
    let local = getsockname::<SockaddrStorage>(socket.as_raw_fd()).ok().and_then(|address| text(&address));
    let peer = getpeername::<SockaddrStorage>(socket.as_raw_fd()).ok().and_then(|address| text(&address));
    let local = local.map(|address| format!(" bound to {address}")).unwrap_or_default();
    let peer = peer.map(|address| format!(" connected to {address}")).unwrap_or_default();
    format!("{kind}{local}{peer}")
}

fn text(address: &SockaddrStorage) -> Option<String> {
    match internet(address) {
        Some(address) => Some(address.to_string()),
        None => unix_name(address).map(|name| shown(&name)),
    }
}

/// Abstract names begin with @, as ss(8) writes them.
fn shown(address: &[u8]) -> String {
    match address.split_first() {
        Some((0, name)) => format!("@{}", String::from_utf8_lossy(name)),
        _ => String::from_utf8_lossy(address).into_owned(),
    }
}

fn internet(address: &SockaddrStorage) -> Option<SocketAddr> {
    match address.family()? {
        nix::sys::socket::AddressFamily::Inet => Some(SocketAddr::V4((*address.as_sockaddr_in()?).into())),
        nix::sys::socket::AddressFamily::Inet6 => Some(SocketAddr::V6((*address.as_sockaddr_in6()?).into())),
        _ => None,
    }
}

fn unreadable(error: Errno) -> Refusal {
    Refusal::close(format!("a socket that does not tell its state: {}", error.desc()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_attach_listener_is_known_by_its_name() {
        assert!(is_attach_listener(b"/tmp/.java_pid4711"));
        assert!(is_attach_listener(b"/tmp/.java_pid4711.tmp"));
        assert!(!is_attach_listener(b"/tmp/.java_pid"));
        assert!(!is_attach_listener(b"/tmp/.java_pidx"));
        assert!(!is_attach_listener(b"\0java_pid1"));
    }

    #[test]
    fn abstract_names_are_shown_with_an_at() {
        assert_eq!(shown(b"\0bus"), "@bus");
        assert_eq!(shown(b"/run/bus"), "/run/bus");
    }
}
