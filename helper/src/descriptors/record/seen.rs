//! One look at one descriptor of the JVM.

use super::failed;
use crate::descriptors::class::Class;
use crate::exit::Failure;
use crate::proc::fdinfo::FdInfo;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, readlink};
use nix::sys::stat::{FileStat, Mode, fstat, stat};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;

pub struct Seen {
    /// In the JVM.
    pub number: i32,
    pub link: PathBuf,
    pub stat: FileStat,
    pub class: Class,
    pub info: FdInfo,
}

impl Seen {
    pub fn access(&self) -> i32 {
        self.info.flags & libc::O_ACCMODE
    }

    pub fn writable(&self) -> bool {
        self.access() != libc::O_RDONLY
    }

    /// Access mode and status flags, which all numbers of one description have in common.
    pub fn status_flags(&self) -> i32 {
        self.info.flags & !libc::O_CLOEXEC
    }

    pub fn close_on_exec(&self) -> bool {
        self.info.flags & libc::O_CLOEXEC != 0
    }
}

/// Whether `file::judge` decides about it.
pub fn is_file(class: &Class) -> bool {
    use Class::*;
    matches!(class, Regular | Memfd | Directory | CharacterDevice | BlockDevice | Fifo)
}

/// The JVM's directories in /proc.
pub struct View {
    pid: i32,
    fdinfo: OwnedFd,
    buffer: Vec<u8>,
}

impl View {
    pub fn of(pid: i32) -> Result<Self, Failure> {
        let path = format!("/proc/{pid}/fdinfo");
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let fdinfo =
            nix::fcntl::open(path.as_str(), flags, Mode::empty()).map_err(|error| failed(&path, error.desc()))?;
        Ok(Self { pid, fdinfo, buffer: vec![0; 16 * 1024] })
    }

    /// The numbers that are open now.
    pub fn numbers(&self) -> Result<Vec<i32>, Failure> {
        let path = format!("/proc/{}/fd", self.pid);
        let entries = std::fs::read_dir(&path).map_err(|error| failed(&path, error))?;
        let mut numbers = Vec::new();
        for entry in entries {
            let name = entry.map_err(|error| failed(&path, error))?.file_name();
            numbers.extend(name.to_str().and_then(|name| name.parse::<i32>().ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Without a duplicate; `None` when the number has been closed meanwhile.
    pub fn look_from_outside(&mut self, number: i32) -> Result<Option<Seen>, Failure> {
        let path = format!("/proc/{}/fd/{number}", self.pid);
        let looked = readlink(path.as_str()).and_then(|link| Ok((link, stat(path.as_str())?, self.fdinfo(number)?)));
        let (link, stat, text) = match looked {
            Ok(looked) => looked,
            Err(Errno::ENOENT) => return Ok(None),
            Err(error) => return Err(failed(path, error.desc())),
        };
        Ok(Some(Self::seen(self.pid, number, link.into(), stat, &text)?))
    }

    pub fn look(&mut self, number: i32, duplicate: &OwnedFd) -> Result<Seen, Failure> {
        let pid = self.pid;
        let mut look = || {
            let stat = fstat(duplicate)?;
            // The links of sockets say nothing that is not known, and there may be thousands.
            let link = if stat.st_mode & libc::S_IFMT == libc::S_IFSOCK {
                format!("socket:[{}]", stat.st_ino).into()
            } else {
                readlink(format!("/proc/self/fd/{}", duplicate.as_raw_fd()).as_str())?
            };
            Ok((link, stat, self.fdinfo(number)?))
        };
        let (link, stat, text) =
            look().map_err(|error: Errno| failed(format_args!("descriptor {number}"), error.desc()))?;
        Self::seen(pid, number, link.into(), stat, &text)
    }

    fn seen(pid: i32, number: i32, link: PathBuf, stat: FileStat, text: &str) -> Result<Seen, Failure> {
        let info = FdInfo::parse(text).map_err(|error| failed(format_args!("/proc/{pid}/fdinfo/{number}"), error))?;
        let class = Class::of(&link, &stat);
        Ok(Seen { number, link, stat, class, info })
    }

    fn fdinfo(&mut self, number: i32) -> Result<String, Errno> {
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let file = openat(&self.fdinfo, number.to_string().as_str(), flags, Mode::empty())?;
        let mut text = Vec::new();
        loop {
            let count = nix::unistd::read(&file, &mut self.buffer)?;
            text.extend_from_slice(&self.buffer[..count]);
            // The kernel writes the whole of it before the first read: a short one is the last.
            if count < self.buffer.len() {
                return Ok(String::from_utf8_lossy(&text).into_owned());
            }
        }
    }
}
