//! Sockets: listening, dead, fresh.

use super::harness::{Instance, Scenario, carry, no_moves, poll_now, rebuild_again, record_these};
use hotfork_helper::descriptors::{PortMove, lift, make_room};
use hotfork_helper::exit::ExitCode;
use hotfork_helper::image::manifest::{Descriptors, Kind};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrIn6, UnixAddr, bind, getsockopt, listen, setsockopt, socket,
    sockopt,
};
use nix::unistd::{read, write};
use std::io::Write;
use std::net::{SocketAddr, SocketAddrV6, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

pub static SCENARIOS: &[Scenario] = &[
    Scenario { name: "tcp", set_up: tcp, moves: no_moves, check: check_tcp },
    Scenario { name: "moved", set_up: moved, moves: move_all, check: check_moved },
    Scenario { name: "taken", set_up: tcp, moves: no_moves, check: check_taken },
    Scenario { name: "dead", set_up: dead, moves: no_moves, check: check_dead },
    Scenario { name: "unix", set_up: unix, moves: no_moves, check: check_unix },
    Scenario { name: "fresh", set_up: fresh, moves: no_moves, check: check_fresh },
];

/// The first port below the ephemeral ones that is free.
fn free_port() -> u16 {
    let start = 20_000 + (std::process::id() % 10_000) as u16;
    (start..32_000).find(|port| TcpListener::bind(("::", *port)).is_ok()).unwrap()
}

fn listener(port: u16, backlog: i32) -> OwnedFd {
    let socket = socket(AddressFamily::Inet6, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    setsockopt(&socket, sockopt::ReuseAddr, &true).unwrap();
    setsockopt(&socket, sockopt::Ipv6V6Only, &false).unwrap();
    let any: SocketAddrV6 = format!("[::]:{port}").parse().unwrap();
    bind(socket.as_raw_fd(), &SockaddrIn6::from(any)).unwrap();
    listen(&socket, Backlog::new(backlog).unwrap()).unwrap();
    socket
}

fn port_of(table: &Descriptors) -> u16 {
    match &table.descriptions[0].kind {
        Kind::TcpListener { address, .. } => address.parse::<SocketAddr>().unwrap().port(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_listener_listens_with_its_options() {
    carry(&SCENARIOS[0]);
}

fn tcp() -> Vec<OwnedFd> {
    let listener = listener(free_port(), 77);
    setsockopt(&listener, sockopt::KeepAlive, &true).unwrap();
    setsockopt(&listener, sockopt::TcpKeepIdle, &99).unwrap();
    setsockopt(&listener, sockopt::RcvBuf, &50_000).unwrap();
    nix::fcntl::fcntl(&listener, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK)).unwrap();
    vec![listener]
}

fn check_tcp(instance: Instance) {
    assert_eq!(instance.lines, Vec::<String>::new());
    assert!(matches!(instance.kind(0), Kind::TcpListener { backlog: 77, v6only: false, .. }));
    let listener = &instance.fds[0];
    assert!(getsockopt(listener, sockopt::ReuseAddr).unwrap());
    assert!(getsockopt(listener, sockopt::KeepAlive).unwrap());
    assert_eq!(getsockopt(listener, sockopt::TcpKeepIdle).unwrap(), 99);
    assert_eq!(getsockopt(listener, sockopt::RcvBuf).unwrap(), 100_000);
    // Connections wait in the backlog before anybody accepts; v4 ones too.
    TcpStream::connect(("127.0.0.1", port_of(&instance.table))).unwrap();
    let listener = TcpListener::from(instance.fds.into_iter().next().unwrap());
    listener.accept().unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn listeners_of_one_port_move_together() {
    carry(&SCENARIOS[1]);
}

fn moved() -> Vec<OwnedFd> {
    let port = free_port();
    let one = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let two = TcpListener::bind(("127.0.0.2", port)).unwrap();
    vec![one.into(), two.into()]
}

fn move_all(table: &Descriptors) -> Vec<PortMove> {
    vec![PortMove { old: port_of(table), new: 0 }]
}

fn check_moved(instance: Instance) {
    let old = port_of(&instance.table);
    let listeners: Vec<_> = instance.fds.into_iter().map(TcpListener::from).collect();
    let port = listeners[0].local_addr().unwrap().port();
    assert_ne!(port, 0);
    assert_eq!(listeners[1].local_addr().unwrap().port(), port);
    let line = |ip| format!("listening on {ip}:{port} (was {old})");
    assert_eq!(instance.lines, [line("127.0.0.1"), line("127.0.0.2")]);
}

#[test]
fn a_port_in_use_is_named_with_its_remedy() {
    carry(&SCENARIOS[2]);
}

fn check_taken(instance: Instance) {
    let number = instance.fds[0].as_raw_fd();
    let port = port_of(&instance.table);
    let room = make_room(&instance.table).unwrap();
    let _taken = lift(instance.fds.into_iter().next().unwrap(), room).unwrap();
    let failure = rebuild_again(&instance.table).unwrap_err();
    assert_eq!(failure.code, ExitCode::HostResource);
    let line = format!(
        "cannot rebuild descriptor {number}: cannot listen on [::]:{port}: Address already in use; \
         stop whoever has the port, or choose another one with --listen {port}=NEW (0: the kernel chooses)"
    );
    assert_eq!(failure.message, line);
}

#[test]
fn connections_are_dead_and_quiet() {
    carry(&SCENARIOS[3]);
}

fn dead() -> Vec<OwnedFd> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    client.set_nodelay(true).unwrap();
    client.write_all(b"unread").unwrap();
    let (server, _) = listener.accept().unwrap();
    let (marker, peer) = UnixStream::pair().unwrap();
    drop(peer);
    let (connected, other) = UnixStream::pair().unwrap();
    // The peer lives on in the recorded process.
    std::mem::forget(other);
    vec![client.into(), server.into(), marker.into(), connected.into()]
}

fn check_dead(instance: Instance) {
    for fd in &instance.fds {
        assert_eq!(poll_now(fd, libc::POLLIN | libc::POLLRDHUP), libc::POLLIN | libc::POLLHUP | libc::POLLRDHUP);
        assert_eq!(read(fd, &mut [0; 4]), Ok(0));
        assert_eq!(write(fd, b"x"), Err(Errno::EPIPE));
    }
    assert!(getsockopt(&instance.fds[0], sockopt::TcpNoDelay).unwrap());
    assert!(!getsockopt(&instance.fds[1], sockopt::TcpNoDelay).unwrap());
    // Dead ones stay dead when they are captured once more.
    let again = record_these(&instance.fds).unwrap();
    assert_eq!(again.descriptors.descriptions, instance.table.descriptions);
}

fn socket_path() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("descriptors-unix.sock")
}

#[test]
fn unix_listeners_take_their_name_back() {
    carry(&SCENARIOS[4]);
}

fn unix() -> Vec<OwnedFd> {
    let by_path = UnixListener::bind(socket_path()).unwrap();
    let by_name = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    let name = UnixAddr::new_abstract(format!("hotfork-test-{}", std::process::id()).as_bytes()).unwrap();
    bind(by_name.as_raw_fd(), &name).unwrap();
    listen(&by_name, Backlog::new(5).unwrap()).unwrap();
    let attach = std::env::temp_dir().join(format!(".java_pid{}.tmp", std::process::id()));
    let attach_listener = UnixListener::bind(&attach).unwrap();
    std::fs::remove_file(attach).unwrap();
    vec![by_path.into(), by_name, attach_listener.into()]
}

fn check_unix(instance: Instance) {
    // The first process has ended and left its socket file, which was taken over.
    UnixStream::connect(socket_path()).unwrap();
    let Kind::UnixListener { address, .. } = instance.kind(1) else { panic!() };
    use std::os::linux::net::SocketAddrExt;
    let name = std::os::unix::net::SocketAddr::from_abstract_name(&address[1..]).unwrap();
    UnixStream::connect_addr(&name).unwrap();
    assert_eq!(instance.kind(2), &Kind::AttachListener);
    assert_eq!(nix::sys::socket::accept(instance.fds[2].as_raw_fd()), Err(Errno::EINVAL));
    // While somebody listens there, the name is not taken.
    let number = instance.fds[0].as_raw_fd();
    let room = make_room(&instance.table).unwrap();
    let _listening: Vec<_> = instance.fds.into_iter().map(|fd| lift(fd, room).unwrap()).collect();
    let failure = rebuild_again(&instance.table).unwrap_err();

    let line = format!(
        "cannot rebuild descriptor {number}: cannot listen on {}: Address already in use; \
         stop whoever has it, or remove what is there",
        socket_path().display()
    );
    assert_eq!(failure.message, line);
    std::fs::remove_file(socket_path()).unwrap();
}

#[test]
fn a_socket_that_never_connected_is_fresh() {
    carry(&SCENARIOS[5]);
}

fn fresh() -> Vec<OwnedFd> {
    let unbound = socket(AddressFamily::Inet6, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    setsockopt(&unbound, sockopt::TcpNoDelay, &true).unwrap();
    let bound = socket(AddressFamily::Inet6, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    let any: SocketAddrV6 = format!("[::]:{}", free_port()).parse().unwrap();
    bind(bound.as_raw_fd(), &SockaddrIn6::from(any)).unwrap();
    let unix = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    vec![unbound, bound, unix]
}

fn check_fresh(instance: Instance) {
    let kinds = [0, 1, 2].map(|at| instance.kind(at));
    assert!(matches!(kinds[0], Kind::FreshSocket { bound: None, family: libc::AF_INET6, .. }));
    assert!(matches!(kinds[2], Kind::FreshSocket { bound: None, family: libc::AF_UNIX, .. }));
    let Kind::FreshSocket { bound: Some(address), .. } = kinds[1] else { panic!("{:?}", kinds[1]) };
    let port = address.parse::<SocketAddr>().unwrap().port();
    assert!(getsockopt(&instance.fds[0], sockopt::TcpNoDelay).unwrap());
    let mut fds = instance.fds.into_iter();
    listen(fds.next().as_ref().unwrap(), Backlog::new(1).unwrap()).unwrap();
    let bound = fds.next().unwrap();
    listen(&bound, Backlog::new(1).unwrap()).unwrap();
    assert_eq!(TcpListener::from(bound).local_addr().unwrap().port(), port);
}
