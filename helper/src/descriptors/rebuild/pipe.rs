//! Pipes, with what was written and not yet read.

use super::Subject;
use crate::exit::{ExitCode, Failure};
use crate::image::manifest::Pipe;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::sys::stat::Mode;
use std::os::fd::{AsRawFd, OwnedFd};

/// Pipes as far as an end was asked for. Ends that the captured JVM did not have close with this.
pub struct Pipes<'a> {
    recorded: &'a [Pipe],
    made: Vec<Option<Ends>>,
}

struct Ends {
    reader: OwnedFd,
    writer: OwnedFd,
}

impl<'a> Pipes<'a> {
    pub fn new(recorded: &'a [Pipe]) -> Self {
        Self { recorded, made: recorded.iter().map(|_| None).collect() }
    }

    /// A description of its own for one end.
    pub(super) fn end(&mut self, what: &Subject, pipe: u32, write: bool) -> Result<OwnedFd, Failure> {
        let index = pipe as usize;
        let ends = match &mut self.made[index] {
            Some(ends) => ends,
            none => none.insert(make(what, &self.recorded[index])?),
        };
        let (end, access) = if write { (&ends.writer, OFlag::O_WRONLY) } else { (&ends.reader, OFlag::O_RDONLY) };
        let flags = access | OFlag::O_CLOEXEC | OFlag::from_bits_retain(what.flag(libc::O_NONBLOCK));
        // Both ends exist, so opening one more does not block.
        let path = format!("/proc/self/fd/{}", end.as_raw_fd());
        open(path.as_str(), flags, Mode::empty()).map_err(|error| what.failed(error))
    }
}

fn make(what: &Subject, recorded: &Pipe) -> Result<Ends, Failure> {
    let (reader, writer) =
        nix::unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).map_err(|error| what.failed(error))?;
    let capacity = fcntl(&writer, FcntlArg::F_GETPIPE_SZ).map_err(|error| what.failed(error))?;
    if capacity != recorded.capacity {
        fcntl(&writer, FcntlArg::F_SETPIPE_SZ(recorded.capacity)).map_err(|error| {
            let why = format!(
                "a pipe cannot have the size {}: {}; raise fs.pipe-max-size or fs.pipe-user-pages-soft",
                recorded.capacity,
                error.desc()
            );
            what.fail(ExitCode::HostResource, why)
        })?;
    }
    let mut rest = recorded.contents.as_slice();
    while !rest.is_empty() {
        match nix::unistd::write(&writer, rest) {
            Ok(count) => rest = &rest[count..],
            Err(Errno::EAGAIN) => {
                let why = format!(
                    "a pipe of size {capacity} has no room for {} more bytes; take the image again",
                    rest.len()
                );
                return Err(what.fail(ExitCode::HostResource, why));
            }
            Err(error) => return Err(what.failed(error)),
        }
    }
    Ok(Ends { reader, writer })
}
