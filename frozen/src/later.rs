//! Pages that an instance will write by its first answers, but not before them: brought in when the application has run for a
//! while, so that they delay neither its start nor an answer.
//!
//! # Safety contract of this file
//! `note` is called before an instance has a second thread, `bring_in` once after that. Bringing pages in
//! changes no byte of them (madvise(2), MADV_POPULATE_WRITE).
#![allow(unsafe_code)]

use crate::syscall::call;
use core::cell::UnsafeCell;
use hotfork_abi::restore::{InstanceArgs, MapOperation, OP_ADVISE_LATER};
use linux_raw_sys::general as nr;

/// What is beyond comes in when it is written.
const AT_MOST: usize = 512;

/// Address, length and advice; ends with a length of 0.
struct Later(UnsafeCell<[[u64; 3]; AT_MOST]>);
// SAFETY: one thread at a time has to do with it, see above.
unsafe impl Sync for Later {}
static LATER: Later = Later(UnsafeCell::new([[0; 3]; AT_MOST]));

/// Copies what is to be done later out of the restorer's tables.
///
/// # Safety
/// No other thread exists, and `arguments` names operations that are mapped.
pub(crate) unsafe fn note(arguments: &InstanceArgs) {
    // SAFETY: the caller's promise; the helper has counted the operations there.
    let operations = unsafe {
        let count = arguments.later_count as usize;
        let first = if count == 0 { core::ptr::dangling() } else { arguments.later as *const MapOperation };
        core::slice::from_raw_parts(first, count)
    };
    // SAFETY: no other thread exists.
    let later = unsafe { &mut *LATER.0.get() };
    let wanted = operations.iter().filter(|operation| operation.operation == OP_ADVISE_LATER);
    let wanted = wanted.map(|one| [one.address, one.length, one.flags.into()]);
    // No page of the table is written that is not needed.
    for (place, one) in later.iter_mut().zip(wanted.chain([[0; 3]])) {
        *place = one;
    }
}

/// Failure is none: what is not brought in comes when it is needed.
pub fn bring_in() {
    // SAFETY: nobody writes there any more: `note` was called before there were threads.
    let later = unsafe { &*LATER.0.get() };
    for &[address, length, advice] in later.iter().take_while(|one| one[1] != 0) {
        // SAFETY: the helper has found the range to be the image's memory, and the advice to be MADV_POPULATE_WRITE.
        let _ = unsafe { call(nr::__NR_madvise, [address, length, advice, 0, 0, 0]) };
    }
}
