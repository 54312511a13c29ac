//! Builds what the restorer needs in the hole, and jumps.
//!
//! ```text
//!  hole ─►  RestoreArgs with InstanceArgs          one page    ┐
//!           environment                                        │ kept by the instance
//!           host's vvar and vdso, moved here by the blob       ┘
//!           code of the blob                       r-x         ┐
//!           map operations                                     │ scaffold: unmapped by the instance
//!           descriptors of the files, auxv                     │
//!           stack of the blob                                  ┘
//! ```
//!
//! # Safety contract of this file
//! The hole is a fresh mapping that nothing else refers to (MAP_FIXED_NOREPLACE), of the length that
//! `Layout` computed; every pointer into it is a field of that `Layout`, so in bounds and page-aligned.
#![allow(unsafe_code)]

use crate::image::tail::Tail;
use hotfork_abi::PAGE;
use hotfork_abi::Plain;
use hotfork_abi::restore::{MapOperation, RestoreArgs};
use std::arch::asm;
use std::ffi::c_void;
use std::io;

static BLOB: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/blob.bin"));
const STACK: u64 = 4 * PAGE;

/// The operations as they are in the image, or changed for this host.
pub enum Operations {
    Mapped(Tail),
    Changed(Vec<MapOperation>),
}

impl Operations {
    pub fn as_slice(&self) -> &[MapOperation] {
        match self {
            Self::Mapped(tail) => tail.operations(),
            Self::Changed(list) => list,
        }
    }

    pub fn as_mut_slice(&mut self) -> &mut [MapOperation] {
        match self {
            Self::Mapped(tail) => tail.operations_mut(),
            Self::Changed(list) => list,
        }
    }
}

/// What lies where, relative to the start of the hole.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    pub environment: u64,
    pub host: u64,
    pub scaffold: u64,
    pub operations: u64,
    pub files: u64,
    pub auxv: u64,
    pub end: u64,
}

const fn pages(bytes: u64) -> u64 {
    bytes.div_ceil(PAGE) * PAGE
}

impl Layout {
    pub fn new(environment: usize, host_span: u64, operations: usize, files: usize, auxv: usize) -> Self {
        let environment_at = pages(size_of::<RestoreArgs>() as u64);
        let host = environment_at + pages(environment as u64);
        let scaffold = host + host_span;
        let operations_at = scaffold + pages(BLOB.len() as u64);
        let files_at = operations_at + pages((operations * size_of::<MapOperation>()) as u64);
        let auxv_at = files_at + pages((files * size_of::<i32>()) as u64);
        let end = auxv_at + pages(auxv as u64) + STACK;
        Self {
            environment: environment_at,
            host,
            scaffold,
            operations: operations_at,
            files: files_at,
            auxv: auxv_at,
            end,
        }
    }
}

/// Whether PR_SET_MDWE is on: then the blob, like any JIT, could not run.
pub fn denies_write_execute() -> bool {
    const PR_GET_MDWE: i32 = 66;
    // SAFETY: reads a flag; a kernel that does not know it answers EINVAL.
    unsafe { libc::prctl(PR_GET_MDWE, 0, 0, 0, 0) > 0 }
}

/// Reserves the hole at `address` and fills it, all but the arguments.
pub fn build(
    address: u64,
    layout: &Layout,
    environment: &[u8],
    operations: Operations,
    files: &[i32],
    auxv: &[u8],
) -> io::Result<()> {
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
    let place = |at: u64, bytes: &[u8]| {
        // SAFETY: `Layout::new` left room for exactly these bytes at `at`; the hole was mapped just now, so
        // no source overlaps it.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), hole.cast::<u8>().add(at as usize), bytes.len()) };
    };
    place(layout.environment, environment);
    place(layout.auxv, auxv);
    for (index, number) in files.iter().enumerate() {
        place(layout.files + (index * size_of::<i32>()) as u64, &number.to_ne_bytes());
    }
    place(layout.scaffold, BLOB);
    // SAFETY: the code's pages are the blob's alone: the operations begin on the next page.
    check(unsafe {
        let code = hole.add(layout.scaffold as usize);
        libc::mprotect(code, pages(BLOB.len() as u64) as usize, libc::PROT_READ | libc::PROT_EXEC)
    })?;
    let size = std::mem::size_of_val(operations.as_slice());
    match operations {
        Operations::Changed(list) => place(layout.operations, MapOperation::slice_bytes(&list)),
        Operations::Mapped(tail) => {
            let (from, _) = tail.into_parts();
            let (size, flags) = (pages(size as u64) as usize, libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED);
            // SAFETY: the tail's mapping was given up by its owner and is at least this long; the pages that
            // it replaces are the ones that `Layout` keeps for the operations.
            let moved = unsafe { libc::mremap(from.as_ptr(), size, size, flags, hole.add(layout.operations as usize)) };
            if moved == libc::MAP_FAILED {
                return Err(io::Error::last_os_error());
            }
        }
    }
    Ok(())
}

fn check(result: i32) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Copies the arguments to the start of the hole that `build` made and runs the blob.
///
/// # Safety
/// `args` describes that hole and an image whose operations, patches and addresses were checked; rseq
/// is unregistered, no other thread exists, and all signals are blocked.
pub unsafe fn enter(address: u64, layout: &Layout, args: &RestoreArgs) -> ! {
    let target = address as *mut RestoreArgs;
    let code = address + layout.scaffold;
    // As right after a call: the stack pointer is 8 below a multiple of 16.
    let stack = address + layout.end - 8;
    // SAFETY: the first page of the hole is kept for this structure. The blob is entered at its first byte,
    // on its own stack, with the address of its arguments, and never returns (the caller's promise covers
    // what it does from there).
    unsafe {
        target.write(*args);
        asm!("mov rsp, {stack}", "xor ebp, ebp", "cld", "jmp {code}",
            stack = in(reg) stack, code = in(reg) code, in("rdi") target, options(noreturn));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_overlap_and_begin_on_pages() {
        let layout = Layout::new(5000, 8 * PAGE, 1000, 100, 320);
        let parts = [
            0,
            layout.environment,
            layout.host,
            layout.scaffold,
            layout.operations,
            layout.files,
            layout.auxv,
            layout.end,
        ];
        assert!(parts.is_sorted_by(|a, b| a < b), "{layout:?}");
        assert!(parts.iter().all(|part| part % PAGE == 0), "{layout:?}");
        assert_eq!(layout.scaffold - layout.host, 8 * PAGE);
        assert!(layout.files - layout.operations >= 40_000);
    }
}
