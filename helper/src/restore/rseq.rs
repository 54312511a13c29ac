//! The helper's own restartable-sequence area must be unregistered before its memory goes: the kernel
//! writes to it at every preemption, and kills the process when it is not there.
//!
//! # Safety contract of this file
//! Where glibc registered an area (`__rseq_size` > 0), it lies at `__rseq_offset` from the FS base, for
//! the life of the thread. The symbols are weak: a glibc before 2.35 has neither.
#![allow(unsafe_code)]

use std::arch::asm;
use std::io;

const UNREGISTER: u64 = 1;
/// glibc's signature before every abort handler on x86.
const SIGNATURE: u64 = 0x5305_3053;
/// The area grows with the kernel; glibc registers a multiple of this.
const STEP: u32 = 32;
const LARGEST: u32 = 1024;

/// Address of the area and size that glibc tells, or nothing where none is registered.
fn area() -> Option<u64> {
    let (offset_at, size_at): (*const i64, *const u32);
    // SAFETY: loads two entries of the global offset table, which are null where the weak symbols are missing.
    unsafe {
        asm!(
            ".weak __rseq_offset",
            ".weak __rseq_size",
            "mov {offset}, qword ptr [rip + __rseq_offset@GOTPCREL]",
            "mov {size}, qword ptr [rip + __rseq_size@GOTPCREL]",
            offset = out(reg) offset_at, size = out(reg) size_at, options(nostack, preserves_flags, readonly));
    }
    if offset_at.is_null() || size_at.is_null() {
        return None;
    }
    // SAFETY: both are variables of glibc (checked not to be null), constant after its start.
    let (offset, size) = unsafe { (*offset_at, *size_at) };
    if size == 0 {
        return None;
    }
    let thread_pointer: u64;
    // SAFETY: x86-64 glibc keeps the FS base in the first word that FS points to.
    unsafe { asm!("mov {}, fs:[0]", out(reg) thread_pointer, options(nostack, preserves_flags, readonly)) };
    Some(thread_pointer.wrapping_add_signed(offset))
}

/// Unregisters this thread's area. The size must be the one it was registered with, which glibc keeps
/// to itself.
pub fn unregister() -> io::Result<()> {
    let Some(area) = area() else { return Ok(()) };
    let mut error = io::Error::from_raw_os_error(libc::EINVAL);
    for length in (STEP..=LARGEST).step_by(STEP as usize) {
        // SAFETY: unregistering changes kernel state only; a wrong length is answered with EINVAL.
        if unsafe { libc::syscall(libc::SYS_rseq, area, length, UNREGISTER, SIGNATURE) } == 0 {
            return Ok(());
        }
        error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::EINVAL) {
            break;
        }
    }
    Err(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unregisters_once_for_a_thread() {
        std::thread::spawn(|| {
            if area().is_some() {
                unregister().unwrap();
                assert_eq!(unregister().unwrap_err().raw_os_error(), Some(libc::EINVAL), "it was registered before");
            }
        })
        .join()
        .unwrap();
    }
}
