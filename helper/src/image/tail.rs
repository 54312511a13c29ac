//! The part of an image behind its pages (operations, manifest, chunk digests), mapped as it is.
//!
//! # Safety contract of this file
//! The mapping is private and owned by `Tail` alone; it lives as long as the `Tail` does, or, once moved by `keep_at`, as
//! long as the process. The file behind it was checked to be
//! long enough and to be writable by nobody but its trusted owner, who replaces images by rename.
#![allow(unsafe_code)]

use hotfork_abi::PAGE;
use hotfork_abi::restore::MapOperation;
use nix::sys::mman::{MRemapFlags, MapFlags, ProtFlags, mmap, mremap, munmap};
use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::ptr::NonNull;

pub struct Tail {
    address: NonNull<c_void>,
    length: usize,
    operation_count: usize,
    kept: bool,
}

impl Tail {
    /// Maps `length` bytes of `file` from the page-aligned `offset`, where the operations begin.
    pub fn map(file: &File, offset: u64, length: u64, operation_count: u64) -> io::Result<Self> {
        let size = NonZeroUsize::new(length as usize).ok_or(io::ErrorKind::InvalidInput)?;
        if operation_count * size_of::<MapOperation>() as u64 > length {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice replaces nothing.
        let address = unsafe { mmap(None, size, protection, MapFlags::MAP_PRIVATE, file, offset as i64)? };
        Ok(Self { address, length: size.get(), operation_count: operation_count as usize, kept: false })
    }

    pub fn bytes(&self) -> &[u8] {
        // SAFETY: `length` bytes are mapped readable, and this borrow keeps the mapping and excludes writers.
        unsafe { std::slice::from_raw_parts(self.address.as_ptr().cast(), self.length) }
    }

    pub fn operations(&self) -> &[MapOperation] {
        // SAFETY: `map` checked that so many fit; the address is page-aligned, and any bytes are a MapOperation.
        unsafe { std::slice::from_raw_parts(self.address.as_ptr().cast(), self.operation_count) }
    }

    /// The operations to be changed for this host. The file does not change: the mapping is private.
    pub fn operations_mut(&mut self) -> &mut [MapOperation] {
        // SAFETY: as in `operations`; the mapping is writable and `&mut self` makes this the only reference.
        unsafe { std::slice::from_raw_parts_mut(self.address.as_ptr().cast(), self.operation_count) }
    }

    /// Moves the mapping over what is mapped at `place`, where it stays when this value is dropped.
    ///
    /// # Safety
    /// `place` is page-aligned, and the pages there, as many as [`Self::pages`], are the caller's to replace.
    pub unsafe fn keep_at(&mut self, place: u64) -> io::Result<()> {
        let (target, length) = (NonNull::new(place as *mut c_void), self.pages() as usize);
        let target = target.ok_or(io::ErrorKind::InvalidInput)?;
        let flags = MRemapFlags::MREMAP_MAYMOVE | MRemapFlags::MREMAP_FIXED;
        // SAFETY: the mapping is this value's own, no borrow of it lives, and the caller gives its new place away.
        self.address = unsafe { mremap(self.address, length, length, flags, Some(target))? };
        self.kept = true;
        Ok(())
    }

    /// How many bytes of memory it takes.
    pub fn pages(&self) -> u64 {
        (self.length as u64).next_multiple_of(PAGE)
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        // SAFETY: the mapping is this value's own, and no borrow of it outlives the value.
        let unmapped = unsafe { munmap(self.address, self.length) };
        debug_assert!(unmapped.is_ok());
    }
}
