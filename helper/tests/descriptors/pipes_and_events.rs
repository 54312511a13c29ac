//! Pipes, eventfd, timerfd, epoll.

use super::harness::{Instance, Scenario, carry, no_moves};
use hotfork_helper::image::manifest::Kind;
use hotfork_helper::proc::fdinfo::FdInfo;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use nix::unistd::{pipe2, read, write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

pub static SCENARIOS: &[Scenario] = &[
    Scenario { name: "pipes", set_up: pipes, moves: no_moves, check: check_pipes },
    Scenario { name: "events", set_up: events, moves: no_moves, check: check_events },
    Scenario { name: "epoll", set_up: epoll, moves: no_moves, check: check_epoll },
];

#[test]
fn pipes_keep_their_bytes_size_and_missing_ends() {
    carry(&SCENARIOS[0]);
}

fn pipes() -> Vec<OwnedFd> {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC).unwrap();
    fcntl(&writer, FcntlArg::F_SETPIPE_SZ(16384)).unwrap();
    fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    write(&writer, &[7; 5000]).unwrap();
    let (orphan, gone) = pipe2(OFlag::O_CLOEXEC).unwrap();
    write(&gone, b"last words").unwrap();
    let (_, broken) = pipe2(OFlag::O_CLOEXEC).unwrap();
    vec![reader, writer, orphan, broken]
}

fn check_pipes(instance: Instance) {
    let fds = instance.fds;
    assert_eq!(fcntl(&fds[0], FcntlArg::F_GETPIPE_SZ).unwrap(), 16384);
    let flags = |fd| OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL).unwrap());
    assert!(flags(&fds[0]).contains(OFlag::O_NONBLOCK));
    assert!(!flags(&fds[1]).contains(OFlag::O_NONBLOCK));
    let mut buffer = [0; 8192];
    assert_eq!(read(&fds[0], &mut buffer), Ok(5000));
    assert!(buffer[..5000].iter().all(|byte| *byte == 7));
    assert_eq!(read(&fds[0], &mut buffer), Err(Errno::EAGAIN));
    write(&fds[1], b"new").unwrap();
    assert_eq!(read(&fds[0], &mut buffer), Ok(3));
    assert_eq!(read(&fds[2], &mut buffer), Ok(10));
    assert_eq!(read(&fds[2], &mut buffer), Ok(0), "the writer is gone");
    assert_eq!(write(&fds[3], b"x"), Err(Errno::EPIPE));
}

#[test]
fn eventfds_keep_their_count_and_timers_their_time() {
    carry(&SCENARIOS[1]);
}

fn events() -> Vec<OwnedFd> {
    let plain = EventFd::from_value_and_flags(0x115, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK).unwrap();
    let semaphore = EventFd::from_value_and_flags(2, EfdFlags::EFD_SEMAPHORE).unwrap();
    let large = EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC).unwrap();
    large.write(1 << 40).unwrap();
    let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK).unwrap();
    let interval = TimeSpec::from_duration(Duration::from_secs(50));
    let first = TimeSpec::from_duration(Duration::from_secs(1000));
    timer.set(Expiration::IntervalDelayed(first, interval), TimerSetTimeFlags::empty()).unwrap();
    let expired = TimerFd::new(ClockId::CLOCK_REALTIME, TimerFlags::empty()).unwrap();
    expired.set(Expiration::OneShot(TimeSpec::new(0, 1)), TimerSetTimeFlags::empty()).unwrap();
    let expired = OwnedFd::from(expired);
    nix::poll::poll(
        &mut [nix::poll::PollFd::new(std::os::fd::AsFd::as_fd(&expired), nix::poll::PollFlags::POLLIN)],
        nix::poll::PollTimeout::NONE,
    )
    .unwrap();
    vec![plain.into(), semaphore.into(), large.into(), timer.into(), expired]
}

fn count(fd: &OwnedFd) -> Result<u64, Errno> {
    let mut bytes = [0; 8];
    read(fd, &mut bytes).map(|_| u64::from_ne_bytes(bytes))
}

fn check_events(instance: Instance) {
    let fds = instance.fds;
    assert_eq!(count(&fds[0]), Ok(0x115));
    assert_eq!(count(&fds[0]), Err(Errno::EAGAIN));
    assert_eq!(count(&fds[1]), Ok(1));
    assert_eq!(count(&fds[1]), Ok(1));
    assert_eq!(count(&fds[2]), Ok(1 << 40));
    assert_eq!(count(&fds[4]), Ok(1));
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", fds[3].as_raw_fd())).unwrap();
    let timer = FdInfo::parse(&text).unwrap().timer.unwrap();
    assert!((900..=1000).contains(&timer.value.0), "{timer:?}");
    assert_eq!((timer.clock, timer.interval), (libc::CLOCK_MONOTONIC, (50, 0)));
}

#[test]
fn epoll_sets_watch_the_same_numbers() {
    carry(&SCENARIOS[2]);
}

fn epoll() -> Vec<OwnedFd> {
    let inner = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
    let outer = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
    let ready = EventFd::from_value_and_flags(1, EfdFlags::EFD_CLOEXEC).unwrap();
    inner.add(&ready, EpollEvent::new(EpollFlags::EPOLLIN, u64::MAX - 4)).unwrap();
    // Fired once and therefore disarmed: it must not fire again for a dead peer.
    let (fired, peer) = std::os::unix::net::UnixStream::pair().unwrap();
    drop(peer);
    inner.add(&fired, EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLONESHOT, 5)).unwrap();
    let mut events = [EpollEvent::empty(); 4];
    assert_eq!(inner.wait(&mut events, EpollTimeout::ZERO), Ok(2));
    let outer_entry = EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, inner.0.as_raw_fd() as u64);
    outer.add(&inner.0, outer_entry).unwrap();
    vec![outer.0, inner.0, ready.into(), fired.into()]
}

fn check_epoll(instance: Instance) {
    assert!(matches!(instance.kind(1), Kind::Epoll { entries } if entries.len() == 2));
    let fds = instance.fds;
    let mut events = [EpollEvent::empty(); 4];
    let number = fds[1].as_raw_fd() as u64;
    let mut fds = fds.into_iter();
    let outer = Epoll(fds.next().unwrap());
    let inner = Epoll(fds.next().unwrap());
    assert_eq!(outer.wait(&mut events, EpollTimeout::ZERO), Ok(1));
    assert_eq!(events[0].data(), number);
    assert_eq!(inner.wait(&mut events, EpollTimeout::ZERO), Ok(1));
    assert_eq!(events[0].data(), u64::MAX - 4);
    assert_eq!(events[0].events(), EpollFlags::EPOLLIN);
}
