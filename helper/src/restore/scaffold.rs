//! Builds what the restorer needs in the hole, and jumps.
//!
//! ```text
//!  hole ─►  RestoreArgs with InstanceArgs          one page    ┐
//!           environment                                        ┘ kept by the instance
//!           host's vvar and vdso, if the blob moves them       · kept then
//!           code of the blob                       r-x         ┐
//!           map operations                                     │ scaffold: unmapped by the instance
//!           descriptors of the files, auxv                     │
//!           what two threads share, stack of the second one    │
//!           stack of the blob                                  ┘
//! ```
//!
//! # Safety contract of this file
//! The hole is a fresh mapping that nothing else refers to (MAP_FIXED_NOREPLACE), of the length that
//! `Layout` computed; every pointer into it is a field of that `Layout`, so in bounds and page-aligned.
#![allow(unsafe_code)]

use crate::image::tail::Tail;
use hotfork_abi::ahead::Ahead;
use hotfork_abi::restore::{MapOperation, RestoreArgs};
use hotfork_abi::{PAGE, Plain};
use std::ffi::c_void;
use std::io;

static BLOB: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/blob.bin"));
const STACK: u64 = 4 * PAGE;
/// Room for the host's vvar and vdso, of which no kernel has more than some ten pages.
pub const HOST_SPAN: u64 = 64 * PAGE;
/// What both threads share, and the stack of the second one.
const AHEAD: u64 = 2 * PAGE;

/// What lies where, relative to the start of the hole.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    pub environment: u64,
    pub host: u64,
    pub scaffold: u64,
    pub operations: u64,
    pub files: u64,
    pub auxv: u64,
    pub ahead: u64,
    /// End of the second thread's stack.
    pub ahead_end: u64,
    pub end: u64,
}

const fn pages(bytes: u64) -> u64 {
    bytes.div_ceil(PAGE) * PAGE
}

impl Layout {
    /// Lengths in bytes, all but that of `files`, a number.
    pub fn new(environment: usize, operations: u64, files: usize, auxv: usize) -> Self {
        let environment_at = pages(size_of::<RestoreArgs>() as u64);
        let host = environment_at + pages(environment as u64);
        let scaffold = host + HOST_SPAN;
        let operations_at = scaffold + pages(BLOB.len() as u64);
        let files_at = operations_at + pages(operations);
        let auxv_at = files_at + pages((files * size_of::<i32>()) as u64);
        let ahead = auxv_at + pages(auxv as u64);
        let ahead_end = ahead + AHEAD;
        Self {
            environment: environment_at,
            host,
            scaffold,
            operations: operations_at,
            files: files_at,
            auxv: auxv_at,
            ahead,
            ahead_end,
            end: ahead_end + STACK,
        }
    }
}

/// Whether PR_SET_MDWE is on: then the blob, like any JIT, could not run.
pub fn denies_write_execute() -> bool {
    const PR_GET_MDWE: i32 = 66;
    // SAFETY: reads a flag; a kernel that does not know it answers EINVAL.
    unsafe { libc::prctl(PR_GET_MDWE, 0, 0, 0, 0) > 0 }
}

/// The hole, mapped.
#[derive(Clone, Copy)]
pub struct Scaffold {
    address: u64,
    layout: Layout,
}

impl Scaffold {
    /// Reserves the hole at `address`; the blob's code lies there from now on.
    pub fn reserve(address: u64, layout: Layout) -> io::Result<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED_NOREPLACE;
        let (wanted, length) = (address as *mut c_void, layout.end as usize);
        // SAFETY: MAP_FIXED_NOREPLACE maps over nothing that exists.
        let hole = unsafe { libc::mmap(wanted, length, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
        if hole == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        if hole != wanted {
            return Err(io::Error::from_raw_os_error(libc::EEXIST));
        }
        let scaffold = Self { address, layout };
        scaffold.place(layout.scaffold, BLOB);
        // SAFETY: the code's pages are the blob's alone: the operations begin on the next page.
        check(unsafe {
            let code = hole.add(layout.scaffold as usize);
            libc::mprotect(code, pages(BLOB.len() as u64) as usize, libc::PROT_READ | libc::PROT_EXEC)
        })?;
        Ok(scaffold)
    }

    /// Puts bytes where one of the parts lies, which has room for them.
    fn place(&self, at: u64, bytes: &[u8]) {
        let target = (self.address + at) as *mut u8;
        // SAFETY: `Layout::new` left room for exactly these bytes at `at`; the hole is this restore's own, so
        // no source overlaps it.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), target, bytes.len()) };
    }

    /// Moves an image's tables to the place for the operations, which are their beginning. `Layout` was made for them.
    pub fn take_in(&self, tail: &mut Tail) -> io::Result<()> {
        // SAFETY: the pages there are kept for exactly this.
        unsafe { tail.keep_at(self.address + self.layout.operations) }
    }

    pub fn place_operations(&self, operations: &[MapOperation]) {
        self.place(self.layout.operations, MapOperation::slice_bytes(operations));
    }

    /// The descriptor for operations that name the file with this index.
    pub fn place_file(&self, index: usize, descriptor: i32) {
        self.place(self.layout.files + (index * size_of::<i32>()) as u64, &descriptor.to_ne_bytes());
    }

    pub fn place_environment(&self, environment: &[u8], auxv: &[u8]) {
        self.place(self.layout.environment, environment);
        self.place(self.layout.auxv, auxv);
    }

    pub fn place_ahead(&self, ahead: &Ahead) {
        self.place(self.layout.ahead, ahead.as_bytes());
    }

    pub fn place_arguments(&self, arguments: &RestoreArgs) {
        self.place(0, arguments.as_bytes());
    }

    pub const fn at(&self, offset: u64) -> u64 {
        self.address + offset
    }

    pub const fn layout(&self) -> &Layout {
        &self.layout
    }
}

fn check(result: i32) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_overlap_and_begin_on_pages() {
        let layout = Layout::new(5000, 40_000, 100, 320);
        let parts = [
            0,
            layout.environment,
            layout.host,
            layout.scaffold,
            layout.operations,
            layout.files,
            layout.auxv,
            layout.ahead,
            layout.ahead_end,
            layout.end,
        ];
        assert!(parts.is_sorted_by(|a, b| a < b), "{layout:?}");
        assert!(parts.iter().all(|part| part % PAGE == 0), "{layout:?}");
        assert_eq!(layout.scaffold - layout.host, HOST_SPAN);
        assert!(layout.files - layout.operations >= 40_000);
    }
}
