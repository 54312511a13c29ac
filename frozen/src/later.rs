//! Pages that an instance will write by its first answers, or read in files, but not before them. What of them the restore's second thread, if it had
//! one, has not brought in: when the application has run for a while, so that they delay neither its start nor an answer.
//!
//! # Safety contract of this file
//! `finish` is called once in an instance, by one thread. Bringing pages in changes no byte of them (madvise(2),
//! MADV_POPULATE_WRITE and MADV_POPULATE_READ); what the helper had mapped is nobody's any more; the scaffold is the restorer's code and tables, which nobody
//! but this file and the restorer's second thread uses any more.
#![allow(unsafe_code)]

use crate::instance::arguments;
use crate::syscall::call;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use hotfork_abi::restore::{InstanceArgs, MapOperation, OP_ADVISE_LATER};
use linux_raw_sys::general as nr;

/// Brings in what the restorer's tables say, if that is still to be done, and gives them back, with all else of the helper.
pub fn finish() {
    let arguments = arguments();
    bring_in(&arguments);
    for [start, end] in arguments.left_behind.into_iter().take_while(|range| range[1] != 0) {
        // SAFETY: these ranges are exactly what the helper had mapped, which no thread of an instance uses.
        let _ = unsafe { call(nr::__NR_munmap, [start, end - start, 0, 0, 0, 0]) };
    }
    if second_thread_has_ended(&arguments) {
        // SAFETY: nobody returns to the restorer's code, and its second thread has ended.
        let _ = unsafe { call(nr::__NR_munmap, [arguments.scaffold, arguments.scaffold_length, 0, 0, 0, 0]) };
    }
}

fn bring_in(arguments: &InstanceArgs) {
    // SAFETY: the scaffold with its tables is still there; the helper has counted the operations.
    let operations = unsafe {
        let count = arguments.operation_count as usize;
        let first = if count == 0 { core::ptr::dangling() } else { arguments.operations as *const MapOperation };
        core::slice::from_raw_parts(first, count)
    };
    // SAFETY: the word lies in the scaffold, which is still there; the restorer's second thread touches it as an atomic, too.
    let done = unsafe { AtomicU64::from_ptr(arguments.later_done as *mut u64) }.load(SeqCst) as usize;
    for one in operations.iter().filter(|operation| operation.operation == OP_ADVISE_LATER).skip(done) {
        // SAFETY: the helper has found the range to be the image's memory, and the advice to be one of those two. Failure is
        // none: what is not brought in comes when it is needed.
        let _ = unsafe { call(nr::__NR_madvise, [one.address, one.length, one.flags.into(), 0, 0, 0]) };
    }
}

/// Whether the restorer's second thread has ended. It has nothing to do any more; where it has not been on a processor all the while,
/// its code stays for it.
fn second_thread_has_ended(arguments: &InstanceArgs) -> bool {
    if arguments.second_thread == 0 {
        return true;
    }
    // SAFETY: the word lies in the scaffold; the kernel writes it when the thread has ended.
    let tid = unsafe { AtomicU32::from_ptr(arguments.second_thread as *mut u32) };
    tid.load(SeqCst) == 0
}
