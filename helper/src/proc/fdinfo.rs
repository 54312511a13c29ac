//! /proc/PID/fdinfo/N: what proc_pid_fdinfo(5) tells about one descriptor.

use thiserror::Error;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FdInfo {
    pub position: u64,
    /// Access mode, status flags and O_CLOEXEC as open(2) numbers them.
    pub flags: i32,
    pub locks: Vec<Lock>,
    pub eventfd: Option<EventFd>,
    pub timer: Option<Timer>,
    /// Entries of an epoll set.
    pub targets: Vec<Target>,
    pub inotify_watches: usize,
    /// The process that a pidfd refers to.
    pub pid: Option<i32>,
}

/// A lock as /proc/locks prints it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    /// POSIX, OFDLCK, FLOCK, LEASE, DELEG
    pub kind: String,
    /// READ, WRITE, RW, UNLCK
    pub access: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventFd {
    pub count: u64,
    /// Unique to the eventfd, on kernels that print it.
    pub id: Option<u64>,
    /// Kernels before 6.5 do not print it; false there.
    pub semaphore: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timer {
    pub clock: i32,
    /// Expirations that nobody has read.
    pub ticks: u64,
    pub settime_flags: i32,
    /// Remaining time, whatever `settime_flags` says: seconds, nanoseconds.
    pub value: (i64, i64),
    pub interval: (i64, i64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    pub fd: i32,
    pub events: u32,
    pub data: u64,
    pub inode: Option<u64>,
}

#[derive(Debug, Error, PartialEq, Eq)]
#[error("fdinfo line {0:?} is not what Linux prints")]
pub struct FdInfoError(String);

impl FdInfo {
    /// Lines that other kinds of descriptors add are skipped.
    pub fn parse(text: &str) -> Result<Self, FdInfoError> {
        let mut info = Self::default();
        for line in text.lines() {
            let Some((key, value)) = line.split_once(':') else {
                if line.starts_with("inotify wd") {
                    info.inotify_watches += 1;
                }
                continue;
            };
            info.take(key.trim(), value.trim()).ok_or_else(|| FdInfoError(line.to_owned()))?;
        }
        Ok(info)
    }

    fn take(&mut self, key: &str, value: &str) -> Option<()> {
        match key {
            "pos" => self.position = value.parse().ok()?,
            "flags" => self.flags = i32::from_str_radix(value, 8).ok()?,
            "lock" => self.locks.push(lock(value)?),
            "eventfd-count" => self.eventfd.get_or_insert_default().count = u64::from_str_radix(value, 16).ok()?,
            "eventfd-id" => self.eventfd.get_or_insert_default().id = Some(value.parse().ok()?),
            "eventfd-semaphore" => self.eventfd.get_or_insert_default().semaphore = value != "0",
            "clockid" => self.timer.get_or_insert_default().clock = value.parse().ok()?,
            "ticks" => self.timer.get_or_insert_default().ticks = value.parse().ok()?,
            "settime flags" => self.timer.get_or_insert_default().settime_flags = i32::from_str_radix(value, 8).ok()?,
            "it_value" => self.timer.get_or_insert_default().value = pair(value)?,
            "it_interval" => self.timer.get_or_insert_default().interval = pair(value)?,
            "tfd" => self.targets.push(target(value)?),
            "Pid" => self.pid = Some(value.parse().ok()?),
            key if key.starts_with("inotify wd") => self.inotify_watches += 1,
            _ => {}
        }
        Some(())
    }
}

/// `1: POSIX  ADVISORY  WRITE 4711 00:1f:9876 0 EOF`
fn lock(value: &str) -> Option<Lock> {
    let mut words = value.split_whitespace().skip(1).filter(|word| *word != "->");
    let kind = words.next()?.to_owned();
    let access = words.nth(1)?.to_owned();
    Some(Lock { kind, access })
}

/// `(3, 499999000)`
fn pair(value: &str) -> Option<(i64, i64)> {
    let (seconds, nanoseconds) = value.strip_prefix('(')?.strip_suffix(')')?.split_once(',')?;
    Some((seconds.trim().parse().ok()?, nanoseconds.trim().parse().ok()?))
}

/// `       5 events:       19 data:                5  pos:0 ino:1f4 sdev:8`
fn target(value: &str) -> Option<Target> {
    let (fd, rest) = value.split_once("events:")?;
    let (events, rest) = rest.split_once("data:")?;
    let mut rest = rest.split_whitespace();
    let data = u64::from_str_radix(rest.next()?, 16).ok()?;
    let inode = match rest.find_map(|word| word.strip_prefix("ino:")) {
        Some(inode) => Some(u64::from_str_radix(inode, 16).ok()?),
        None => None,
    };
    let events = u32::from_str_radix(events.trim(), 16).ok()?;
    Some(Target { fd: fd.trim().parse().ok()?, events, data, inode })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_regular_file_with_locks() {
        let info = FdInfo::parse(
            "pos:\t4096\nflags:\t02100002\nmnt_id:\t29\nino:\t77\n\
             lock:\t1: POSIX  ADVISORY  WRITE 4711 00:1f:9876 0 EOF\n\
             lock:\t2: FLOCK  ADVISORY  READ 4711 00:1f:9876 0 EOF\n",
        )
        .unwrap();
        assert_eq!(info.position, 4096);
        assert_eq!(info.flags, libc::O_RDWR | libc::O_CLOEXEC | 0o100000);
        let lock = |kind: &str, access: &str| Lock { kind: kind.into(), access: access.into() };
        assert_eq!(info.locks, [lock("POSIX", "WRITE"), lock("FLOCK", "READ")]);
    }

    #[test]
    fn an_eventfd_counts_in_hexadecimal() {
        let info = FdInfo::parse(
            "pos:\t0\nflags:\t04002\neventfd-count:              115\neventfd-id: 3\neventfd-semaphore: 1\n",
        )
        .unwrap();
        assert_eq!(info.eventfd, Some(EventFd { count: 0x115, id: Some(3), semaphore: true }));
    }

    #[test]
    fn a_timer() {
        let info = FdInfo::parse(
            "pos:\t0\nflags:\t02\nclockid: 1\nticks: 2\nsettime flags: 01\nit_value: (3, 499999000)\nit_interval: (0, 0)\n",
        )
        .unwrap();
        assert_eq!(
            info.timer,
            Some(Timer { clock: 1, ticks: 2, settime_flags: 1, value: (3, 499_999_000), interval: (0, 0) })
        );
    }

    #[test]
    fn an_epoll_set() {
        let info = FdInfo::parse(
            "pos:\t0\nflags:\t02\ntfd:        5 events:       19 data: ffffffff00000005  pos:0 ino:1f4 sdev:8\n\
             tfd:       12 events: 80000001 data:                c\n",
        )
        .unwrap();
        assert_eq!(
            info.targets,
            [
                Target { fd: 5, events: 0x19, data: 0xffff_ffff_0000_0005, inode: Some(0x1f4) },
                Target { fd: 12, events: 0x8000_0001, data: 12, inode: None },
            ]
        );
    }

    #[test]
    fn who_a_pidfd_is_and_how_much_inotify_watches() {
        assert_eq!(FdInfo::parse("pos:\t0\nflags:\t02\nPid:\t99\nNSpid:\t99\n").unwrap().pid, Some(99));
        let text = "pos:\t0\nflags:\t00\ninotify wd:2 ino:9 sdev:1 mask:3\ninotify wd:1 ino:8 sdev:1 mask:3\n";
        assert_eq!(FdInfo::parse(text).unwrap().inotify_watches, 2);
    }

    #[test]
    fn each_malformed_line_is_named() {
        for line in [
            "pos:\tx",
            "flags:\t09",
            "lock:\t1: POSIX",
            "eventfd-count: xyz",
            "eventfd-id: x",
            "clockid: x",
            "ticks: -1",
            "settime flags: 8",
            "it_value: 3, 4",
            "it_interval: (3)",
            "tfd: 5 events: 19",
            "tfd: x events: 19 data: 5",
            "tfd: 5 events: 19 data: 5 ino:q",
            "Pid:\tx",
        ] {
            assert_eq!(
                FdInfo::parse(line).unwrap_err().to_string(),
                format!("fdinfo line {line:?} is not what Linux prints")
            );
        }
    }
}
