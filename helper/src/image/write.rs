//! Finishes an image whose pages are already in the file: tables behind them, header last.

use super::checksum::{self, Digest};
use super::format::{FORMAT_VERSION, Header, MAGIC, PAGES_START};
use super::manifest::Manifest;
use super::temporary::Temporary;
use crate::exit::{ExitCode, Failure};
use hotfork_abi::restore::MapOperation;
use hotfork_abi::{ABI_VERSION, PAGE, Plain};
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate, posix_fallocate};
use std::fs::Metadata;
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

/// Says that an image could not be written, and what to do.
pub fn failed(image: &Path, what: &str, error: &io::Error) -> Failure {
    let remedy = match error.raw_os_error() {
        Some(libc::ENOSPC | libc::EDQUOT) => "make room there, or name another --image",
        Some(libc::EFBIG) => "raise the limit of file sizes (ulimit -f), or name another --image",
        _ => "look at the disk, or name another --image",
    };
    Failure::new(ExitCode::SaveFailed, format!("cannot write image {}: {what}: {error}; {remedy}", image.display()))
}

/// Reserves the room for the pages, so that a full disk shows before the work is done.
pub fn reserve(temporary: &Temporary, length: u64) -> Result<(), Failure> {
    match posix_fallocate(temporary.file(), 0, length as i64) {
        // A file system that cannot reserve shows a full disk later.
        Ok(()) | Err(Errno::EOPNOTSUPP | Errno::EINVAL) => Ok(()),
        Err(errno) => Err(failed(temporary.image(), "cannot reserve its space", &errno.into())),
    }
}

/// Gives the room back that these parts of the file do not need; where the file system cannot, they keep it.
pub fn punch(temporary: &Temporary, holes: &[Range<u64>]) -> Result<(), Failure> {
    let how = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    for hole in holes {
        match fallocate(temporary.file(), how, hole.start as i64, (hole.end - hole.start) as i64) {
            Ok(()) => {}
            Err(Errno::EOPNOTSUPP) => return Ok(()),
            Err(errno) => return Err(failed(temporary.image(), "cannot make holes in it", &errno.into())),
        }
    }
    Ok(())
}

/// Bytes; what is shared with other files (reflinks) counts too.
pub fn size_on_disk(metadata: &Metadata) -> u64 {
    // The unit of st_blocks, whatever the file system's blocks are (stat(3type)).
    metadata.blocks() * 512
}

/// An image in its place.
pub struct Finished {
    /// Bytes on the disk.
    pub size: u64,
    pub file_length: u64,
}

/// The pages of an image, in the file and read back for their digests.
pub struct Pages {
    end: u64,
    chunks: Vec<Digest>,
}

impl Pages {
    pub fn read_back(temporary: &Temporary, end: u64) -> Result<Self, Failure> {
        let chunks = checksum::chunk_digests(temporary.file(), PAGES_START, end - PAGES_START)
            .map_err(|error| failed(temporary.image(), "cannot read its pages back", &error))?;
        Ok(Self { end, chunks })
    }

    /// Makes an image of the temporary file, to be tried; not synced.
    pub fn write_tables(
        &self,
        temporary: &Temporary,
        operations: &[MapOperation],
        manifest: &Manifest,
    ) -> Result<u64, Failure> {
        self.write(temporary, operations, manifest, false)
    }

    /// Writes everything but the pages, and puts the image in its place.
    pub fn finish(
        &self,
        temporary: Temporary,
        operations: &[MapOperation],
        manifest: &Manifest,
    ) -> Result<Finished, Failure> {
        let file_length = self.write(&temporary, operations, manifest, true)?;
        let metadata = temporary.file().metadata();
        let size = size_on_disk(&metadata.map_err(|error| failed(temporary.image(), "cannot tell its size", &error))?);
        let image = temporary.image().to_path_buf();
        temporary.commit().map_err(|error| failed(&image, "cannot sync and rename it", &error))?;
        Ok(Finished { size, file_length })
    }

    fn write(
        &self,
        temporary: &Temporary,
        operations: &[MapOperation],
        manifest: &Manifest,
        sync: bool,
    ) -> Result<u64, Failure> {
        let fail = |what| move |error: io::Error| failed(temporary.image(), what, &error);
        let file = temporary.file();
        let manifest =
            postcard::to_stdvec(manifest).map_err(io::Error::other).map_err(fail("cannot lay out its manifest"))?;
        let (header, tail) = self.tables(operations, &manifest);
        let mut first = header.as_bytes().to_vec();
        first.resize(PAGE as usize, 0);
        file.write_all_at(&tail, self.end).map_err(fail("cannot write its tables"))?;
        file.set_len(header.file_length).map_err(fail("cannot set its length"))?;
        if sync {
            // An unfinished file must never look like an image, so all else is on the disk before its header.
            file.sync_data().map_err(fail("cannot sync it"))?;
        }
        file.write_all_at(&first, 0).map_err(fail("cannot write its header"))?;
        Ok(header.file_length)
    }

    fn tables(&self, operations: &[MapOperation], manifest: &[u8]) -> (Header, Vec<u8>) {
        let mut tail = Plain::slice_bytes(operations).to_vec();
        let manifest_offset = self.end + tail.len() as u64;
        tail.extend_from_slice(manifest);
        let chunks_offset = self.end + tail.len() as u64;
        tail.extend(self.chunks.iter().flatten());
        let mut header = Header {
            magic: MAGIC,
            format_version: FORMAT_VERSION,
            abi_version: ABI_VERSION,
            digest: [0; 16],
            file_length: self.end + tail.len() as u64,
            pages_offset: PAGES_START,
            pages_length: self.end - PAGES_START,
            operations_offset: self.end,
            operation_count: operations.len() as u64,
            manifest_offset,
            manifest_length: manifest.len() as u64,
            chunks_offset,
            chunk_count: self.chunks.len() as u64,
        };
        header.digest = checksum::of_header_and_tail(&header, &tail);
        (header, tail)
    }
}
