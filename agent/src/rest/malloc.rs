//! What the compilers and the collector gave back to malloc goes back to the kernel: it would lie in the image. And what was
//! freed in small pieces is joined: else the first larger request in an instance would do it (malloc_consolidate), and touch
//! every piece.
//!
//! # Safety contract of this file
//! malloc_trim(3) may be called at any time by any thread; it takes the arenas' locks one after the other.
#![allow(unsafe_code)]

use std::time::Instant;

/// Also to be called last of all, right before the application's threads are suspended.
pub fn trim() {
    let begin = Instant::now();
    // SAFETY: as above.
    unsafe { libc::malloc_trim(0) };
    log::debug!("malloc trimmed in {:?}", begin.elapsed());
}
