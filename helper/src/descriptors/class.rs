//! What kind of file a descriptor refers to, from its link in /proc/PID/fd and its stat(2).

use nix::sys::stat::{FileStat, SFlag};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Class {
    Regular,
    Memfd,
    Directory,
    CharacterDevice,
    BlockDevice,
    Pipe,
    /// A pipe with a name.
    Fifo,
    Socket,
    EventFd,
    TimerFd,
    Epoll,
    /// An anonymous inode of another kind, by its name.
    Anonymous(String),
    /// Neither of these; the link says what.
    Other(String),
}

impl Class {
    pub fn of(link: &Path, stat: &FileStat) -> Self {
        let text = link.as_os_str().as_bytes();
        if let Some(name) = text.strip_prefix(b"anon_inode:") {
            return Self::anonymous(&String::from_utf8_lossy(name));
        }
        match SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT {
            SFlag::S_IFSOCK if text.starts_with(b"socket:[") => Self::Socket,
            SFlag::S_IFIFO if text.starts_with(b"pipe:[") => Self::Pipe,
            SFlag::S_IFIFO => Self::Fifo,
            SFlag::S_IFDIR => Self::Directory,
            SFlag::S_IFCHR => Self::CharacterDevice,
            SFlag::S_IFBLK => Self::BlockDevice,
            SFlag::S_IFREG if text.starts_with(b"/memfd:") => Self::Memfd,
            SFlag::S_IFREG if text.starts_with(b"/") => Self::Regular,
            _ => Self::Other(link.display().to_string()),
        }
    }

    fn anonymous(name: &str) -> Self {
        match name.trim_start_matches('[').trim_end_matches(']') {
            "eventfd" => Self::EventFd,
            "timerfd" => Self::TimerFd,
            "eventpoll" => Self::Epoll,
            name => Self::Anonymous(name.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::stat::stat;

    fn class(link: &str, of: &str) -> Class {
        Class::of(Path::new(link), &stat(of).unwrap())
    }

    #[test]
    fn anonymous_inodes_go_by_their_name() {
        assert_eq!(class("anon_inode:[eventfd]", "/"), Class::EventFd);
        assert_eq!(class("anon_inode:[timerfd]", "/"), Class::TimerFd);
        assert_eq!(class("anon_inode:[eventpoll]", "/"), Class::Epoll);
        assert_eq!(class("anon_inode:inotify", "/"), Class::Anonymous("inotify".into()));
        assert_eq!(class("anon_inode:[io_uring]", "/"), Class::Anonymous("io_uring".into()));
    }

    #[test]
    fn others_go_by_their_mode() {
        assert_eq!(class("/", "/"), Class::Directory);
        assert_eq!(class("/dev/null", "/dev/null"), Class::CharacterDevice);
        assert_eq!(class("/proc/version", "/proc/version"), Class::Regular);
        assert_eq!(class("/memfd:x (deleted)", "/proc/version"), Class::Memfd);
        assert_eq!(class("net:[4026531840]", "/proc/version"), Class::Other("net:[4026531840]".into()));
    }
}
