//! Where glibc keeps which memory is a thread's stack.
//!
//! # Safety contract of this file
//! Asks glibc about the calling thread and reads its `struct pthread`, which lies at the top of its own stack.
#![allow(unsafe_code)]

use super::vmstructs::read;
use std::ptr::{addr_of, null_mut};

/// `struct pthread` has some 2,300 bytes.
const DESCRIPTOR_AT_MOST: u64 = 4096;
const WORD: u64 = 8;

/// Offset in `struct pthread` of a stack's lowest address, its length, and the length of its guard, one after the other. No
/// symbol tells; what glibc says of the calling thread does. 0 where it is not found, or not beyond doubt.
pub fn block_offset() -> u64 {
    let Some((low, top)) = own_stack() else { return 0 };
    // SAFETY: pthread_self has no preconditions.
    let descriptor = unsafe { libc::pthread_self() } as u64;
    if !(low..top).contains(&descriptor) {
        return 0;
    }
    let length = (top - descriptor).min(DESCRIPTOR_AT_MOST);
    // SAFETY: from the descriptor to the top this thread's stack is readable.
    let words: Vec<u64> = (0..length / WORD).map(|index| unsafe { read(descriptor + index * WORD) }).collect();
    find(&words, low, top).unwrap_or(0)
}

/// The calling thread's stack without its guard, as glibc tells it.
fn own_stack() -> Option<(u64, u64)> {
    let (mut low, mut length) = (null_mut(), 0);
    // SAFETY: the attributes are initialised by a call that succeeds, read, and destroyed.
    unsafe {
        let mut attributes = std::mem::zeroed::<libc::pthread_attr_t>();
        if libc::pthread_getattr_np(libc::pthread_self(), &raw mut attributes) != 0 {
            return None;
        }
        let got = libc::pthread_attr_getstack(addr_of!(attributes), &raw mut low, &raw mut length);
        libc::pthread_attr_destroy(&raw mut attributes);
        (got == 0).then_some((low as u64, low as u64 + length as u64))
    }
}

fn find(words: &[u64], low: u64, top: u64) -> Option<u64> {
    let fits = |three: &[u64]| {
        let [block, length, guard] = three[..] else { return false };
        block != 0 && block.checked_add(length) == Some(top) && block.checked_add(guard) == Some(low)
    };
    let mut found = words.windows(3).enumerate().filter(|(_, three)| fits(three)).map(|(index, _)| index as u64 * WORD);
    match (found.next(), found.next()) {
        (Some(offset), None) => Some(offset),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_words_beyond_doubt() {
        let words = [0, 7, 0x1000, 0x9000, 0x1000, 0];
        assert_eq!(find(&words, 0x2000, 0xa000), Some(16));
        assert_eq!(find(&words, 0x1000, 0xa000), None, "another guard");
        assert_eq!(find(&[words, words].concat(), 0x2000, 0xa000), None, "twice");
    }

    #[test]
    fn of_a_thread_but_not_of_the_first() {
        let with_guard = || {
            let offset = block_offset();
            // SAFETY: as in `block_offset`.
            let descriptor = unsafe { libc::pthread_self() } as u64;
            // SAFETY: the offset was found there.
            (offset, [0, 8, 16].map(|word| unsafe { read(descriptor + offset + word) }))
        };
        let (offset, [block, length, guard]) = std::thread::spawn(with_guard).join().unwrap();
        let here = std::thread::Builder::new().stack_size(3 << 20).spawn(with_guard).unwrap().join().unwrap();
        assert_ne!(offset, 0);
        assert!(block != 0 && length >= 2 << 20 && guard >= 4096);
        assert_eq!(here.0, offset);
        assert!(here.1[1] >= 3 << 20, "{here:x?}");
    }
}
