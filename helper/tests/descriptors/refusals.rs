//! What is refused, and how it is said.

use super::harness::{Scratch, Trial, record_at_once, record_these, try_alone};
use hotfork_helper::descriptors::Recorder;
use hotfork_helper::exit::ExitCode;
use nix::fcntl::{FcntlArg, Flock, FlockArg, OFlag, fcntl};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signalfd::{SigSet, SignalFd};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use std::fs::File;
use std::net::UdpSocket;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;

pub static TRIALS: &[Trial] = &[
    Trial { name: "sockets", run: sockets },
    Trial { name: "files", run: files },
    Trial { name: "locks", run: locks },
    Trial { name: "anonymous", run: anonymous },
    Trial { name: "epoll", run: epoll },
    Trial { name: "children", run: children },
    Trial { name: "early", run: early },
    Trial { name: "misplaced", run: misplaced },
];

/// The line for one descriptor alone, the same with and without the look before the freeze.
fn refused(fd: impl Into<OwnedFd>, why: &str) {
    let fds = [fd.into()];
    let line = format!("descriptor {} cannot be carried: {why}", fds[0].as_raw_fd());
    // In this order: the second closes duplicates in this very process, which ends its POSIX locks.
    for outcome in [record_these(&fds), record_at_once(&fds)] {
        let failure = outcome.err().unwrap();
        assert_eq!(failure.message, line);
        assert_eq!(failure.code, ExitCode::Refused);
    }
}

#[test]
fn sockets_without_a_stream() {
    try_alone(&TRIALS[0]);
}

fn sockets() {
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.connect(peer).unwrap();
    let local = udp.local_addr().unwrap();
    refused(udp, &format!("a UDP socket bound to {local} connected to {peer}; close it before the capture"));
    let netlink = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, None).unwrap();
    refused(netlink, "a netlink socket; close it before the capture");
    refused(UnixDatagram::unbound().unwrap(), "a Unix datagram socket; close it before the capture");
}

#[test]
fn files_that_instances_would_fight_over() {
    try_alone(&TRIALS[1]);
}

fn files() {
    let scratch = Scratch::new("refused");
    let path = scratch.0.join("data");
    let remedy = "close it, or open it for appending: two instances would overwrite each other's data";
    refused(
        File::create(&path).unwrap(),
        &format!("{} is open for writing without O_APPEND; {remedy}", path.display()),
    );
    let memfd = memfd_create("heap", MFdFlags::MFD_CLOEXEC).unwrap();
    refused(memfd, "a memfd that is open for writing, \"heap\"; close it before the capture");
    let fifo = scratch.0.join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    refused(
        File::options().read(true).write(true).open(&fifo).unwrap(),
        &format!("a named pipe, {}; close it before the capture", fifo.display()),
    );
    let gone = scratch.0.join("gone");
    std::fs::create_dir(&gone).unwrap();
    let directory = File::open(&gone).unwrap();
    std::fs::remove_dir(&gone).unwrap();
    refused(directory, &format!("a deleted directory, {} (deleted); close it before the capture", gone.display()));
    let large = scratch.0.join("large");
    let file = File::create(&large).unwrap();
    file.set_len(5 << 20).unwrap();
    std::fs::remove_file(&large).unwrap();
    let what = format!("a deleted file of 5242880 bytes that is open for writing, {}", large.display());
    refused(file, &format!("{what}; close it before the capture"));
    let path_only = nix::fcntl::open("/etc/passwd", OFlag::O_PATH, nix::sys::stat::Mode::empty()).unwrap();
    refused(path_only, "/etc/passwd, opened with O_PATH; close it before the capture");
    refused(
        File::open("/proc/1/stat").unwrap(),
        "/proc/1/stat, which speaks of one process or thread; close it before the capture",
    );
    let terminal = nix::pty::openpty(None, None).unwrap();
    let link = std::fs::read_link(format!("/proc/self/fd/{}", terminal.slave.as_raw_fd())).unwrap();
    refused(terminal.slave, &format!("a terminal, {}; close it before the capture", link.display()));
}

#[test]
fn locks_that_do_not_survive() {
    try_alone(&TRIALS[2]);
}

fn locks() {
    let scratch = Scratch::new("locks");
    let path = scratch.0.join("write.lock");
    let open = || File::options().append(true).create(true).open(&path).unwrap();
    let all =
        libc::flock { l_type: libc::F_WRLCK as i16, l_whence: libc::SEEK_SET as i16, l_start: 0, l_len: 0, l_pid: 0 };
    let line = |kind| format!("{} with a {kind} WRITE lock; release the lock before the capture", path.display());
    let file = open();
    fcntl(&file, FcntlArg::F_SETLK(&all)).unwrap();
    refused(file, &line("POSIX"));
    let file = open();
    fcntl(&file, FcntlArg::F_OFD_SETLK(&all)).unwrap();
    refused(file, &line("OFDLCK"));
    let locked = Flock::lock(open(), FlockArg::LockExclusive).unwrap();
    refused(locked.try_clone().unwrap(), &line("FLOCK"));
}

#[test]
fn kernel_objects_by_their_name() {
    try_alone(&TRIALS[3]);
}

fn anonymous() {
    let inotify = Inotify::init(InitFlags::IN_CLOEXEC).unwrap();
    inotify.add_watch("/etc", AddWatchFlags::IN_CREATE).unwrap();
    refused(inotify, "an inotify instance with 1 watches; close it before the capture");
    refused(OwnedFd::from(SignalFd::new(&SigSet::empty()).unwrap()), "a signalfd; close it before the capture");
    let (_, writer) = nix::unistd::pipe2(OFlag::O_DIRECT).unwrap();
    let fds = [writer];
    let failure = record_at_once(&fds).err().unwrap();
    let line = format!(
        "descriptor {} cannot be carried: a pipe in packet mode (O_DIRECT); close it before the capture",
        fds[0].as_raw_fd()
    );
    assert_eq!(failure.message, line);
    let (reader, _writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC).unwrap();
    fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_ASYNC)).unwrap();
    let link = std::fs::read_link(format!("/proc/self/fd/{}", reader.as_raw_fd())).unwrap();
    let fds = [reader];
    let failure = record_at_once(&fds).err().unwrap();
    let line = format!(
        "descriptor {} cannot be carried: {} with signal-driven I/O (O_ASYNC); close it before the capture",
        fds[0].as_raw_fd(),
        link.display()
    );
    assert_eq!(failure.message, line);
}

#[test]
fn an_epoll_entry_without_its_number() {
    try_alone(&TRIALS[4]);
}

fn epoll() {
    use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
    let set = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
    let (reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC).unwrap();
    set.add(&reader, EpollEvent::new(EpollFlags::EPOLLIN, 1)).unwrap();
    let gone = reader.as_raw_fd();
    let kept = reader.try_clone().unwrap();
    drop(reader);
    let fds = [set.0, writer, kept];
    let failure = record_at_once(&fds).err().unwrap();
    let line = format!(
        "descriptor {} cannot be carried: an epoll set that still watches a file which was number {gone}; \
         take that file out of the set before its number is closed",
        fds[0].as_raw_fd()
    );
    assert_eq!(failure.message, line);
}

#[test]
fn children_that_run() {
    try_alone(&TRIALS[5]);
}

fn children() {
    let mut child = std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
    let line = format!("the JVM has running child processes: {} (cat); let them end before the capture", child.id());
    let mut recorder = Recorder::new(std::process::id() as i32, &[], Vec::new()).unwrap();
    for outcome in [recorder.preflight(), record_at_once(&[]).map(drop)] {
        let failure = outcome.unwrap_err();
        assert_eq!(failure.message, line);
        assert_eq!(failure.code, ExitCode::Refused);
    }
    drop(child.stdin.take());
    let id = nix::sys::wait::Id::Pid(nix::unistd::Pid::from_raw(child.id() as i32));
    let flags = nix::sys::wait::WaitPidFlag::WEXITED | nix::sys::wait::WaitPidFlag::WNOWAIT;
    nix::sys::wait::waitid(id, flags).unwrap();
    // It has ended and nobody has reaped it.
    assert!(record_at_once(&[]).is_ok());
    child.wait().unwrap();
}

#[test]
fn all_of_them_before_the_freeze() {
    try_alone(&TRIALS[6]);
}

fn early() {
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let inotify = Inotify::init(InitFlags::IN_CLOEXEC).unwrap();
    let fds: [OwnedFd; 2] = [udp.into(), inotify.into()];
    let numbers = fds.each_ref().map(|fd| fd.as_raw_fd());
    let failure = record_these(&fds).err().unwrap();
    assert!(failure.message.starts_with(&format!("descriptor {} cannot be carried: a UDP socket", numbers[0])));
    let rest = format!(" (nor can {}: an inotify instance with 0 watches)", numbers[1]);
    assert!(failure.message.ends_with(&rest), "{failure}");
}

#[test]
fn a_file_of_the_jvm_in_the_place_of_stdin() {
    try_alone(&TRIALS[7]);
}

fn misplaced() {
    nix::unistd::close(0).unwrap();
    let set = nix::sys::eventfd::EventFd::new().unwrap();
    let fds = [OwnedFd::from(set)];
    assert_eq!(fds[0].as_raw_fd(), 0);
    let line = "descriptor 0 cannot be carried: anon_inode:[eventfd] stands where stdin, stdout or stderr should be; \
                start the JVM with 0, 1 and 2 open, /dev/null will do";
    for outcome in [record_these(&fds), record_at_once(&fds)] {
        assert_eq!(outcome.err().unwrap().message, line);
    }
}
