//! Pipes: what lies in them is copied by tee(2), which consumes nothing.

use super::refusal::Refusal;
use super::seen::Seen;
use crate::descriptors::sys;
use crate::image::manifest::{Kind, Pipe};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, tee};
use std::os::fd::OwnedFd;

/// The pipes met so far, with the inode of each.
#[derive(Default)]
pub struct Pipes {
    inodes: Vec<u64>,
    pub pipes: Vec<Pipe>,
}

impl Pipes {
    pub fn record(&mut self, seen: &Seen, duplicate: &OwnedFd) -> Result<Kind, Refusal> {
        if seen.info.flags & libc::O_DIRECT != 0 {
            return Err(Refusal::close("a pipe in packet mode (O_DIRECT)"));
        }
        let write = match seen.access() {
            libc::O_RDONLY => false,
            libc::O_WRONLY => true,
            _ => return Err(Refusal::close("a pipe open for reading and writing at once")),
        };
        let unreadable = |error: Errno| Refusal::close(format!("a pipe that cannot be read: {}", error.desc()));
        let index = match self.inodes.iter().position(|&inode| inode == seen.stat.st_ino) {
            Some(index) => index,
            None => {
                let capacity = fcntl(duplicate, FcntlArg::F_GETPIPE_SZ).map_err(unreadable)?;
                self.inodes.push(seen.stat.st_ino);
                self.pipes.push(Pipe { capacity, contents: Vec::new(), has_reader: false, has_writer: false });
                self.pipes.len() - 1
            }
        };
        let pipe = &mut self.pipes[index];
        if write {
            pipe.has_writer = true;
        } else if !pipe.has_reader {
            pipe.has_reader = true;
            pipe.contents = contents(duplicate, pipe.capacity).map_err(unreadable)?;
        }
        Ok(Kind::PipeEnd { pipe: index as u32, write })
    }
}

fn contents(reader: &OwnedFd, capacity: i32) -> Result<Vec<u8>, Errno> {
    let count = sys::readable_bytes(reader)?;
    if count == 0 {
        return Ok(Vec::new());
    }
    let (scratch, scratch_in) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
    if fcntl(&scratch, FcntlArg::F_GETPIPE_SZ)? < capacity {
        fcntl(&scratch, FcntlArg::F_SETPIPE_SZ(capacity))?;
    }
    if tee(reader, &scratch_in, count, SpliceFFlags::SPLICE_F_NONBLOCK)? != count {
        return Err(Errno::ENOBUFS);
    }
    let mut bytes = vec![0; count];
    let mut filled = 0;
    while filled < count {
        match nix::unistd::read(&scratch, &mut bytes[filled..])? {
            0 => return Err(Errno::EIO),
            read => filled += read,
        }
    }
    Ok(bytes)
}
