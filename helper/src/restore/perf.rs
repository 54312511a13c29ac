//! What tools find a JVM by. HotSpot's performance memory (hsperfdata) gets a file of the new pid's name, so
//! that jps and jstat find the restored JVM and its end removes nobody else's file. Where that cannot
//! be had, the memory stays private and nothing is lost but jps.

use crate::image::manifest::Manifest;
use crate::image::read::Image;
use hotfork_abi::restore::*;
use nix::fcntl::{OFlag, openat};
use nix::sys::sendfile::sendfile;
use nix::sys::stat::{Mode, fstat, mkdirat};
use nix::unistd::{UnlinkatFlags, geteuid, getpid, unlinkat};
use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

pub struct PerfFile {
    pub file: File,
    pub path: PathBuf,
}

/// Removes the attach socket that a dead JVM with this process's pid left, as a starting HotSpot does: tools
/// would find that one and never ask for another.
pub fn remove_stale_attach_socket() {
    let path = format!("/tmp/.java_pid{}", getpid());
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            log::warn!("{path} of a dead JVM cannot be removed: {error}; jcmd will not reach this one");
        }
        _ => {}
    }
}

impl PerfFile {
    /// Makes and fills the file, or says why the memory will be private.
    pub fn create(image: &Image) -> Result<Self, String> {
        let entry = &image.manifest.entry;
        let path = path_for(&image.manifest, getpid().as_raw())?;
        let pieces = pieces(image)?;
        let directory = open_directory(path.parent().ok_or("its file has no directory")?, image)?;
        let name = path.file_name().ok_or("its file has no name")?;
        let file = open_new(&directory, name.as_bytes())?;
        let created = Self { file, path: path.clone() };
        let filled = pieces.iter().try_for_each(|piece| piece.copy(image, &created.file));
        let is_short = pieces.last().is_none_or(|piece| piece.at + piece.length < entry.perf_length);
        let sized = if is_short { created.file.set_len(entry.perf_length) } else { Ok(()) };
        if let Err(error) = filled.and(sized) {
            created.remove();
            return Err(format!("{} cannot be written: {error}", path.display()));
        }
        Ok(created)
    }

    /// The operation that maps the file, which has the number `file`, over the image's private memory. `create` found that one there.
    pub fn operation(&self, operations: &[MapOperation], manifest: &Manifest, file: u32) -> Option<MapOperation> {
        let base = operations.get(manifest.entry.perf_operation? as usize)?;
        Some(MapOperation { operation: OP_SHARED_FILE, offset: 0, file, flags: 0, ..*base })
    }

    /// The restore will not happen: leave nothing behind.
    pub fn remove(self) {
        // Failing leaves an empty file that the next JVM of this user removes: HotSpot cleans up by pid.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn reads_image(operation: &MapOperation) -> bool {
    operation.file == FILE_IMAGE && matches!(operation.operation, OP_PRIVATE_FILE | OP_COPY)
}

/// The name for `pid`, if HotSpot's buffer and ours can hold it.
fn path_for(manifest: &Manifest, pid: i32) -> Result<PathBuf, String> {
    let entry = &manifest.entry;
    let old = entry.perf_file.as_deref().ok_or("its file was not known")?;
    let path = old.with_file_name(pid.to_string());
    let length = path.as_os_str().len() as u64;
    if length >= entry.perf_name_capacity || length >= size_of::<hotfork_abi::Text<256>>() as u64 {
        return Err(format!("HotSpot has no room for the name {}", path.display()));
    }
    Ok(path)
}

/// A part of the performance memory that the image holds.
struct Piece {
    /// In the performance memory.
    at: u64,
    /// In the image.
    offset: u64,
    length: u64,
}

impl Piece {
    /// Within the kernel: memory of our own would be eight pages more to make and to drop.
    fn copy(&self, image: &Image, file: &File) -> io::Result<()> {
        (&*file).seek(SeekFrom::Start(self.at))?;
        let (mut offset, mut left) = (self.offset as i64, self.length as usize);
        while left > 0 {
            match sendfile(file, &image.file, Some(&mut offset), left)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => left -= count,
            }
        }
        Ok(())
    }
}

fn pieces(image: &Image) -> Result<Vec<Piece>, String> {
    let entry = &image.manifest.entry;
    let (start, end) = (entry.perf_address, entry.perf_address.saturating_add(entry.perf_length));
    let base = entry.perf_operation.and_then(|index| image.operations().get(index as usize));
    if !base.is_some_and(|base| base.address == start && base.length == entry.perf_length) {
        return Err("the image does not map it in one piece".into());
    }
    let mut pieces = Vec::new();
    for operation in image.operations().iter().filter(|operation| reads_image(operation)) {
        let MapOperation { address, length, offset, .. } = *operation;
        if address + length <= start || address >= end {
            continue;
        }
        if address < start || address + length > end {
            return Err("the image maps it together with other memory".into());
        }
        pieces.push(Piece { at: address - start, offset, length });
    }
    Ok(pieces)
}

/// The directory must be ours and nobody else's to write, as HotSpot demands it. It is made if it was
/// ours at the capture too: its name holds the user's.
fn open_directory(path: &Path, image: &Image) -> Result<OwnedFd, String> {
    let own = geteuid().as_raw();
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let open = || openat(nix::fcntl::AT_FDCWD, path, flags, Mode::empty());
    let opened = match open() {
        Err(nix::Error::ENOENT) if image.manifest.taken.uid == own => {
            match mkdirat(nix::fcntl::AT_FDCWD, path, Mode::from_bits_truncate(0o755)) {
                Ok(()) | Err(nix::Error::EEXIST) => open(),
                Err(error) => return Err(format!("{} cannot be made: {error}", path.display())),
            }
        }
        opened => opened,
    };
    let directory = opened.map_err(|error| format!("{} cannot be opened: {error}", path.display()))?;
    let status = fstat(&directory).map_err(|error| format!("{}: {error}", path.display()))?;
    if status.st_uid != own || status.st_mode & 0o022 != 0 {
        return Err(format!("{} is not ours alone to write", path.display()));
    }
    Ok(directory)
}

/// A new file: one of a dead process with this pid is removed, one that is locked belongs to a living
/// JVM of another pid namespace.
fn open_new(directory: &OwnedFd, name: &[u8]) -> Result<File, String> {
    let flags = OFlag::O_RDWR | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    let shown = String::from_utf8_lossy(name).into_owned();
    let create = || {
        let mode = Mode::from_bits_truncate(0o600);
        openat(directory.as_fd(), name, flags | OFlag::O_CREAT | OFlag::O_EXCL, mode)
    };
    let created = match create() {
        Err(nix::Error::EEXIST) => {
            let old = openat(directory.as_fd(), name, flags, Mode::empty())
                .map_err(|error| format!("the old {shown} cannot be opened: {error}"))?;
            File::from(old)
                .try_lock()
                .map_err(|_| format!("{shown} is in use by a JVM with the same pid in another pid namespace"))?;
            unlinkat(directory.as_fd(), name, UnlinkatFlags::NoRemoveDir)
                .map_err(|error| format!("the old {shown} cannot be removed: {error}"))?;
            create()
        }
        created => created,
    };
    let file = File::from(created.map_err(|error| format!("{shown} cannot be created: {error}"))?);
    // As newer JDKs do: the lock tells other pid namespaces that the file is in use.
    file.try_lock().map_err(|error| format!("{shown} cannot be locked: {error}"))?;
    Ok(file)
}
