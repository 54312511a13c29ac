//! The part of an image behind its pages (operations, manifest, chunk digests), mapped as it is.
//!
//! # Safety contract of this file
//! The mapping is private and owned by `Tail` alone; it lives as long as the `Tail` does, or, once
//! handed over by `into_parts`, until the new owner unmaps it. The file behind it was checked to be
//! long enough and to be writable by nobody but its trusted owner, who replaces images by rename.
#![allow(unsafe_code)]

use hotfork_abi::restore::MapOperation;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::mem::ManuallyDrop;
use std::num::NonZeroUsize;
use std::ptr::NonNull;

pub struct Tail {
    address: NonNull<c_void>,
    length: usize,
    operation_count: usize,
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
        Ok(Self { address, length: size.get(), operation_count: operation_count as usize })
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

    /// Gives the mapping away: address and length. The operations are its first bytes.
    pub fn into_parts(self) -> (NonNull<c_void>, usize) {
        let tail = ManuallyDrop::new(self);
        (tail.address, tail.length)
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own, and no borrow of it outlives the value.
        let unmapped = unsafe { munmap(self.address, self.length) };
        debug_assert!(unmapped.is_ok());
    }
}
