//! What the compilers and the collector gave back to malloc goes back to the kernel: it would lie in the image.
//!
//! # Safety contract of this file
//! malloc_trim(3) may be called at any time by any thread; it takes the arenas' locks one after the other.
#![allow(unsafe_code)]

use std::time::{Duration, Instant};

/// How long it took.
pub fn trim() -> Duration {
    let begin = Instant::now();
    // SAFETY: as above.
    unsafe { libc::malloc_trim(0) };
    begin.elapsed()
}
