//! The agent's allocator: libc's, but not in an instance's first moments. What is allocated then lies on a page or two of its own, and
//! nothing is freed, not even what is left of the capture: in an arena of libc's each small piece, taken or given back, is
//! another page that the instance no longer shares (twenty of them, with twenty page faults before the application runs).
//!
//! # Safety contract of this file
//! The region belongs to this file. A piece of it is given to one caller and never again. What libc has allocated is
//! told by its address, which is outside.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

/// A renewal with 35 variables took 300 bytes. An instance may be captured again, and its instances: each goes on behind the last.
const SIZE: usize = 64 << 10;

#[repr(C, align(4096))]
struct Region(UnsafeCell<[u8; SIZE]>);
// SAFETY: `take` gives each part of it to one caller.
unsafe impl Sync for Region {}

static REGION: Region = Region(UnsafeCell::new([0; SIZE]));
static TAKEN: AtomicUsize = AtomicUsize::new(0);
static RENEWING: AtomicBool = AtomicBool::new(false);

/// From here on, until `end`, nothing is asked of libc, and nothing given back.
pub fn begin() {
    RENEWING.store(true, SeqCst);
}

pub fn end() {
    RENEWING.store(false, SeqCst);
}

/// Where a renewal writes.
pub fn written() -> [u64; 2] {
    [RENEWING.as_ptr() as u64, REGION.0.get() as u64 + TAKEN.load(SeqCst) as u64]
}

/// Memory that nobody has written to. Null when the region is used up, and when it is not its time.
fn take(layout: Layout) -> *mut u8 {
    let start = |taken: usize| taken.next_multiple_of(layout.align());
    let end = |taken: usize| start(taken).checked_add(layout.size()).filter(|&end| end <= SIZE);
    // The region is aligned to a page, and hardly anything to more.
    if !RENEWING.load(SeqCst) || layout.align() > 4096 {
        return null_mut();
    }
    match TAKEN.fetch_update(SeqCst, SeqCst, end) {
        // SAFETY: `end` saw to it that the piece lies within the region.
        Ok(taken) => unsafe { REGION.0.get().cast::<u8>().add(start(taken)) },
        Err(_) => null_mut(),
    }
}

fn is_ours(pointer: *mut u8) -> bool {
    (pointer as usize).wrapping_sub(REGION.0.get() as usize) < SIZE
}

pub struct Allocator;

// SAFETY: pieces of the region are distinct and live for ever; all others are libc's, and go back there or nowhere.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match take(layout) {
            // SAFETY: the caller's layout.
            piece if piece.is_null() => unsafe { System.alloc(layout) },
            piece => piece,
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match take(layout) {
            // SAFETY: the caller's layout. Large ones are the kernel's zeros, which need not be written.
            piece if piece.is_null() => unsafe { System.alloc_zeroed(layout) },
            piece => piece,
        }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if !is_ours(pointer) && !RENEWING.load(SeqCst) {
            // SAFETY: outside the region, so it is the system's, with the caller's layout.
            unsafe { System.dealloc(pointer, layout) }
        }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !is_ours(pointer) && !RENEWING.load(SeqCst) {
            // SAFETY: as in `dealloc`; the caller answers for the size.
            return unsafe { System.realloc(pointer, layout, size) };
        }
        // SAFETY: the caller's alignment with a size that fits it; the old piece has `layout.size()` bytes, and stays.
        unsafe {
            let new = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !new.is_null() {
                new.copy_from_nonoverlapping(pointer, layout.size().min(size));
            }
            new
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tests' own threads allocate at the same time, so all of it is one test.
    #[test]
    fn a_renewal_has_memory_of_its_own() {
        let mut old = vec![1u8; 100];
        begin();
        let new: Vec<u64> = vec![7; 10];
        assert!(is_ours(new.as_ptr() as *mut u8) && new.as_ptr().is_aligned());
        old.extend([2; 5000]);
        assert!(is_ours(old.as_mut_ptr()), "what grows moves there");
        assert_eq!((old[99], old[100], old.len()), (1, 2, 5100));
        let large = vec![0u8; SIZE];
        assert!(!is_ours(large.as_ptr() as *mut u8), "libc helps out");
        end();
        drop(new);
        assert!(!is_ours(vec![1u8; 100].as_mut_ptr()));
        old.resize(10_000, 3);
        assert!(!is_ours(old.as_mut_ptr()));
        assert_eq!((old[99], old[5099], old[5100]), (1, 2, 3));
    }
}
