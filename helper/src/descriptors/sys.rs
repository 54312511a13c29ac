//! System calls that neither std nor nix offers in the form needed here.
//!
//! # Safety contract of this file
//! `unsafe` is used to call libc functions. Buffers are slices, and the length passed is theirs; numbers
//! of descriptors may be any integer, the kernel answers EBADF for one that is not open. The one
//! function that closes what stood at a number (`place`) is called on numbers that no `OwnedFd` of this
//! process has: `make_room` and `lift` keep the helper's own above them.
#![allow(unsafe_code)]

use nix::errno::Errno;
use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

/// fcntl command since Linux 6.10: do two descriptors share a description?
const F_DUPFD_QUERY: libc::c_int = 1027;
const KCMP_FILE: libc::c_long = 0;
/// ioctl of timerfd, present with CONFIG_CHECKPOINT_RESTORE: `_IOW('T', 0, u64)`.
const TFD_IOC_SET_TICKS: libc::Ioctl = 0x4008_5400;

/// fcntl F_DUPFD_QUERY; EINVAL where the kernel does not know it.
pub fn same_by_query(one: impl AsFd, other: impl AsFd) -> Result<bool, Errno> {
    // SAFETY: this command takes an int and touches no memory of ours.
    let answer = unsafe { libc::fcntl(one.as_fd().as_raw_fd(), F_DUPFD_QUERY, other.as_fd().as_raw_fd()) };
    Errno::result(answer).map(|answer| answer == 1)
}

/// kcmp(2) of two descriptors of this process; EPERM under Docker's seccomp filter.
pub fn same_by_kcmp(one: impl AsFd, other: impl AsFd) -> Result<bool, Errno> {
    let pid = libc::c_long::from(std::process::id() as i32);
    let (one, other) = (one.as_fd().as_raw_fd(), other.as_fd().as_raw_fd());
    // SAFETY: kcmp takes five integers and touches no memory of ours.
    let answer = unsafe {
        libc::syscall(libc::SYS_kcmp, pid, pid, KCMP_FILE, libc::c_long::from(one), libc::c_long::from(other))
    };
    Errno::result(answer).map(|answer| answer == 0)
}

/// getsockopt(2); how many bytes of `value` were filled.
pub fn socket_option(socket: impl AsFd, level: i32, name: i32, value: &mut [u8]) -> Result<usize, Errno> {
    let mut length = value.len() as libc::socklen_t;
    // SAFETY: `value` is writable for `length` bytes, and the kernel writes no more than that.
    let answer = unsafe {
        libc::getsockopt(socket.as_fd().as_raw_fd(), level, name, value.as_mut_ptr().cast(), &raw mut length)
    };
    Errno::result(answer).map(|_| length as usize)
}

/// getsockopt(2) of an int.
pub fn socket_int(socket: impl AsFd, level: i32, name: i32) -> Result<i32, Errno> {
    let mut value = [0; 4];
    socket_option(socket, level, name, &mut value)?;
    Ok(i32::from_ne_bytes(value))
}

pub fn set_socket_option(socket: impl AsFd, level: i32, name: i32, value: &[u8]) -> Result<(), Errno> {
    // SAFETY: `value` is readable for the length that is passed with it.
    let answer = unsafe {
        libc::setsockopt(socket.as_fd().as_raw_fd(), level, name, value.as_ptr().cast(), value.len() as libc::socklen_t)
    };
    Errno::result(answer).map(drop)
}

/// socket(2) with any numbers.
pub fn socket(family: i32, socket_type: i32, protocol: i32) -> Result<OwnedFd, Errno> {
    // SAFETY: three integers.
    let fd = Errno::result(unsafe { libc::socket(family, socket_type | libc::SOCK_CLOEXEC, protocol) })?;
    Ok(owned(fd))
}

pub fn socket_pair(family: i32, socket_type: i32) -> Result<(OwnedFd, OwnedFd), Errno> {
    let mut pair = [-1; 2];
    // SAFETY: `pair` has room for the two ints that socketpair writes.
    Errno::result(unsafe { libc::socketpair(family, socket_type | libc::SOCK_CLOEXEC, 0, pair.as_mut_ptr()) })?;
    Ok((owned(pair[0]), owned(pair[1])))
}

/// FIONREAD: bytes that can be read at once.
pub fn readable_bytes(fd: impl AsFd) -> Result<usize, Errno> {
    let mut count: libc::c_int = 0;
    // SAFETY: FIONREAD writes one int, and `count` is one.
    Errno::result(unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), libc::FIONREAD, &raw mut count) })?;
    Ok(count as usize)
}

/// The protocol of the socket behind a path such as /proc/PID/fd/7, for example `UDPv6`.
pub fn socket_protocol_name(path: &CStr) -> Result<String, Errno> {
    let mut name = [0u8; 64];
    // SAFETY: both strings end with NUL, `name` is writable for its length.
    let length = Errno::result(unsafe {
        libc::getxattr(path.as_ptr(), c"system.sockprotoname".as_ptr(), name.as_mut_ptr().cast(), name.len())
    })?;
    Ok(String::from_utf8_lossy(&name[..length as usize]).trim_end_matches('\0').to_owned())
}

pub fn timer_create(clock: i32, flags: i32) -> Result<OwnedFd, Errno> {
    // SAFETY: two integers.
    Ok(owned(Errno::result(unsafe { libc::timerfd_create(clock, flags | libc::TFD_CLOEXEC) })?))
}

/// timerfd_settime(2), relative.
pub fn timer_arm(timer: impl AsFd, value: (i64, i64), interval: (i64, i64)) -> Result<(), Errno> {
    let time = |(tv_sec, tv_nsec)| libc::timespec { tv_sec, tv_nsec };
    let new = libc::itimerspec { it_interval: time(interval), it_value: time(value) };
    // SAFETY: `new` lives through the call, and NULL is allowed for the old value.
    let answer = unsafe { libc::timerfd_settime(timer.as_fd().as_raw_fd(), 0, &raw const new, std::ptr::null_mut()) };
    Errno::result(answer).map(drop)
}

pub fn timer_set_ticks(timer: impl AsFd, ticks: u64) -> Result<(), Errno> {
    // SAFETY: the request reads one u64, and `ticks` lives through the call.
    let answer = unsafe { libc::ioctl(timer.as_fd().as_raw_fd(), TFD_IOC_SET_TICKS, &raw const ticks) };
    Errno::result(answer).map(drop)
}

/// epoll_ctl(2) EPOLL_CTL_ADD by number.
pub fn epoll_add(set: impl AsFd, fd: RawFd, events: u32, data: u64) -> Result<(), Errno> {
    let mut event = libc::epoll_event { events, u64: data };
    // SAFETY: `event` lives through the call; a number that is not open gives EBADF.
    let answer = unsafe { libc::epoll_ctl(set.as_fd().as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &raw mut event) };
    Errno::result(answer).map(drop)
}

/// Makes `number` refer to the description of `from`, whatever it referred to before.
pub fn place(from: impl AsFd, number: RawFd, close_on_exec: bool) -> Result<(), Errno> {
    let flags = if close_on_exec { libc::O_CLOEXEC } else { 0 };
    // SAFETY: no `OwnedFd` has this number (contract of this file), so none is closed behind its back.
    Errno::result(unsafe { libc::dup3(from.as_fd().as_raw_fd(), number, flags) }).map(drop)
}

/// Another number, from `lowest` up, for the description at `number`.
pub fn duplicate(number: RawFd, lowest: RawFd) -> Result<OwnedFd, Errno> {
    // Not by fcntl: musl's sets close-on-exec once more, for kernels before 2.6.24, and a restore duplicates some forty.
    // SAFETY: F_DUPFD_CLOEXEC takes an int; a number that is not open gives EBADF.
    let fd = unsafe {
        let (number, lowest) = (libc::c_long::from(number), libc::c_long::from(lowest));
        libc::syscall(libc::SYS_fcntl, number, libc::c_long::from(libc::F_DUPFD_CLOEXEC), lowest)
    };
    Ok(owned(Errno::result(fd)? as RawFd))
}

/// F_GETFD by number: its flags, or EBADF when it is not open.
pub fn descriptor_flags(number: RawFd) -> Result<i32, Errno> {
    // SAFETY: F_GETFD takes no argument.
    Errno::result(unsafe { libc::fcntl(number, libc::F_GETFD) })
}

pub fn set_descriptor_flags(number: RawFd, flags: i32) -> Result<(), Errno> {
    // SAFETY: F_SETFD takes an int and touches no memory of ours.
    Errno::result(unsafe { libc::fcntl(number, libc::F_SETFD, flags) }).map(drop)
}

/// Closes a number that this process inherited.
pub fn close_number(number: RawFd) -> Result<(), Errno> {
    // SAFETY: no `OwnedFd` has this number (contract of this file).
    Errno::result(unsafe { libc::close(number) }).map(drop)
}

fn owned(fd: RawFd) -> OwnedFd {
    // SAFETY: every caller passes a descriptor that the kernel has just made and nobody else knows.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// pidfd_getfd(2): a descriptor of another process, where ptrace is allowed.
pub fn borrow_from(pid: i32, number: RawFd) -> Result<OwnedFd, Errno> {
    // SAFETY: two integers.
    let process = owned(Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })? as RawFd);
    // SAFETY: three integers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), number, 0) };
    Ok(owned(Errno::result(fd)? as RawFd))
}

/// Takes all pending events out of an epoll set, which disarms its EPOLLONESHOT entries that are ready.
pub fn epoll_drain(set: impl AsFd) -> Result<(), Errno> {
    let mut events = [libc::epoll_event { events: 0, u64: 0 }; 64];
    loop {
        // SAFETY: `events` has room for the 64 events that the kernel may write.
        let count = unsafe { libc::epoll_wait(set.as_fd().as_raw_fd(), events.as_mut_ptr(), 64, 0) };
        if Errno::result(count)? == 0 {
            return Ok(());
        }
    }
}

/// close_range(2) of `first` to `last`; ENOSYS or EPERM in old sandboxes.
pub fn close_range(first: RawFd, last: RawFd) -> Result<(), Errno> {
    // SAFETY: three integers; no `OwnedFd` of this process lies in the range (contract of this file).
    Errno::result(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) }).map(drop)
}

/// The events of `events` that hold for `fd` now; nix knows no POLLRDHUP.
pub fn poll_now(fd: impl AsFd, events: i16) -> Result<i16, Errno> {
    let mut polled = libc::pollfd { fd: fd.as_fd().as_raw_fd(), events, revents: 0 };
    // SAFETY: `polled` is the one pollfd that the count says, and lives through the call.
    Errno::result(unsafe { libc::poll(&raw mut polled, 1, 0) })?;
    Ok(polled.revents)
}
