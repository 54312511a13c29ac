//! What the compilers and the collector gave back to malloc goes back to the kernel: it would lie in the image. And what was
//! freed in small pieces is joined: else the first larger request in an instance would do it (malloc_consolidate), and touch
//! every piece.
//!
//! # Safety contract of this file
//! malloc_trim(3) may be called at any time by any thread; it takes the arenas' locks one after the other. What
//! `fill_cache` allocates it frees.
#![allow(unsafe_code)]

use std::time::Instant;

/// Also to be called last of all, right before the application's threads are suspended.
pub fn trim() {
    let begin = Instant::now();
    // SAFETY: as above.
    unsafe { libc::malloc_trim(0) };
    log::debug!("malloc trimmed in {:?}", begin.elapsed());
}

/// Pieces of each small size for this thread's next requests (glibc's tcache). For one that it does not have, malloc takes all
/// of that size that have been freed anywhere, up to seven, and writes to each and to what lies beside it: ten
/// pages in an instance, where HotSpot allocates a few pieces for the capturing thread.
pub fn fill_cache() {
    const LARGEST: usize = 512;
    const OF_EACH: usize = 4;
    let mut pieces = [std::ptr::null_mut(); LARGEST / 16 * OF_EACH];
    for (index, piece) in pieces.iter_mut().enumerate() {
        // SAFETY: as above.
        *piece = unsafe { libc::malloc((index / OF_EACH + 1) * 16) };
    }
    for piece in pieces {
        // SAFETY: allocated above and used by nobody; null is nothing to free.
        unsafe { libc::free(piece) };
    }
}
