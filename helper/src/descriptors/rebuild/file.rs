//! Files: opened again by path, or made from what the image carries.

use super::Subject;
use crate::descriptors::record::file::CARRIED_NAME;
use crate::exit::{ExitCode, Failure};
use crate::image::manifest::{CarriedContent, Kind};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open as open_path};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::sendfile::sendfile;
use nix::sys::stat::Mode;
use nix::unistd::{Whence, lseek};
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Flags of open(2) that an instance gets back. O_NOATIME is not among them: only a file's owner may use it.
const FLAGS: i32 = libc::O_ACCMODE
    | libc::O_APPEND
    | libc::O_NONBLOCK
    | libc::O_SYNC
    | libc::O_DIRECT
    | libc::O_PATH
    | libc::O_DIRECTORY;
/// Since Linux 6.3, which may be set to demand it.
const MFD_NOEXEC_SEAL: MFdFlags = MFdFlags::from_bits_retain(8);
/// memfd_create(2) takes 249 bytes.
const LONGEST_NAME: usize = 249;

pub(super) fn open(what: &Subject) -> Result<OwnedFd, Failure> {
    match &what.description.kind {
        Kind::Regular { path, offset, size, mtime } => regular(what, path, *offset, (*size, *mtime)),
        Kind::Directory { path, offset } => {
            let directory = open_flags(what, path, OFlag::O_DIRECTORY)?;
            if what.flag(libc::O_PATH) == 0 {
                seek(what, &directory, *offset)?;
            }
            Ok(directory)
        }
        Kind::Device { path } => open_flags(what, path, OFlag::O_NOCTTY),
        // Until the instance's own file takes its place, if it has one.
        _ => open_flags(what, Path::new("/dev/null"), OFlag::empty()),
    }
}

fn regular(what: &Subject, path: &Path, offset: u64, recorded: (u64, i64)) -> Result<OwnedFd, Failure> {
    let append = what.flag(libc::O_APPEND) != 0 && what.flag(libc::O_ACCMODE) != libc::O_RDONLY;
    match fs::metadata(path) {
        Ok(found) if !found.is_file() => {
            let why = format!("{} is no longer a regular file; put it back", path.display());
            return Err(what.fail(ExitCode::DoesNotFit, why));
        }
        // The size and time of what /proc and /sys generate mean nothing.
        Ok(found) if !append && !path.starts_with("/proc") && !path.starts_with("/sys") => {
            if (found.len(), found.mtime()) != recorded {
                let why = format!("{} has changed since the capture; take the image again", path.display());
                return Err(what.fail(ExitCode::DoesNotFit, why));
            }
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound && append => {}
        Err(error) => return Err(cannot_open(what, path, Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))),
    }
    let file = open_flags(what, path, if append { OFlag::O_CREAT } else { OFlag::empty() })?;
    seek(what, &file, offset)?;
    Ok(file)
}

fn open_flags(what: &Subject, path: &Path, more: OFlag) -> Result<OwnedFd, Failure> {
    let flags = OFlag::from_bits_retain(what.flag(FLAGS)) | OFlag::O_CLOEXEC | more;
    open_path(path, flags, Mode::from_bits_retain(0o666)).map_err(|error| cannot_open(what, path, error))
}

fn cannot_open(what: &Subject, path: &Path, error: Errno) -> Failure {
    let (code, remedy) = match error {
        Errno::ENOENT | Errno::ENOTDIR => (ExitCode::DoesNotFit, "put it back, or take the image again"),
        Errno::EACCES | Errno::EPERM | Errno::EROFS => (ExitCode::HostResource, "give this user access to it"),
        _ => (ExitCode::HostResource, "the image needs it"),
    };
    what.fail(code, format_args!("cannot open {}: {}; {remedy}", path.display(), error.desc()))
}

fn seek(what: &Subject, file: &OwnedFd, offset: u64) -> Result<(), Failure> {
    if offset > 0 {
        lseek(file, offset as i64, Whence::SeekSet).map_err(|error| what.failed(error))?;
    }
    Ok(())
}

/// Files that the image carries, as far as one was asked for.
pub struct CarriedFiles<'a> {
    contents: &'a [CarriedContent],
    image: BorrowedFd<'a>,
    made: Vec<Option<OwnedFd>>,
}

impl<'a> CarriedFiles<'a> {
    pub fn new(contents: &'a [CarriedContent], image: BorrowedFd<'a>) -> Self {
        Self { contents, image, made: contents.iter().map(|_| None).collect() }
    }

    /// A description of its own of a file that only this instance has.
    pub(super) fn open(&mut self, what: &Subject, content: u32) -> Result<OwnedFd, Failure> {
        let Kind::Carried { path, offset, .. } = &what.description.kind else {
            return Err(what.failed(Errno::EINVAL));
        };
        let index = content as usize;
        let file = match &mut self.made[index] {
            Some(file) => file,
            none => none.insert(make(what, path, self.image, &self.contents[index])?),
        };
        let again = format!("/proc/self/fd/{}", file.as_raw_fd());
        let opened = open_flags(what, Path::new(&again), OFlag::empty())?;
        seek(what, &opened, *offset)?;
        Ok(opened)
    }
}

fn make(what: &Subject, path: &Path, image: BorrowedFd<'_>, content: &CarriedContent) -> Result<OwnedFd, Failure> {
    let bytes = path.as_os_str().as_bytes();
    let cut = bytes.len().saturating_sub(LONGEST_NAME - CARRIED_NAME.len());
    let name = CString::new([CARRIED_NAME.as_bytes(), &bytes[cut..]].concat()).unwrap_or_default();
    let file = match memfd_create(name.as_c_str(), MFdFlags::MFD_CLOEXEC | MFD_NOEXEC_SEAL) {
        Err(Errno::EINVAL) => memfd_create(name.as_c_str(), MFdFlags::MFD_CLOEXEC),
        made => made,
    }
    .map_err(|error| what.failed(error))?;
    let mut offset = content.offset as i64;
    let mut left = content.length as usize;
    while left > 0 {
        match sendfile(&file, image, Some(&mut offset), left).map_err(|error| what.failed(error))? {
            0 => {
                let why = format!("the image ends inside {}; take the image again", path.display());
                return Err(what.fail(ExitCode::ImageDamaged, why));
            }
            count => left -= count,
        }
    }
    Ok(file)
}
