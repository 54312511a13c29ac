//! Raw system calls, the jump, and the two memory routines that the compiler may call.

use crate::numbers::*;
use core::arch::{asm, global_asm};

/// Error number of a failed call.
#[derive(Clone, Copy)]
pub struct Errno(pub u64);

pub fn call(number: u64, a: [u64; 6]) -> Result<u64, Errno> {
    let result: u64;
    // SAFETY: the kernel clobbers rax, rcx and r11 only. What the call does to memory is what the
    // step that makes it is there for: the callers name ranges of the image or of the hole.
    unsafe {
        asm!("syscall", inlateout("rax") number => result,
            in("rdi") a[0], in("rsi") a[1], in("rdx") a[2], in("r10") a[3], in("r8") a[4], in("r9") a[5],
            lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    if result > -4096i64 as u64 { Err(Errno(result.wrapping_neg())) } else { Ok(result) }
}

pub fn exit(status: i32) -> ! {
    loop {
        let _ = call(SYS_EXIT_GROUP, [status as u64, 0, 0, 0, 0, 0]);
    }
}

pub fn exit_thread() -> ! {
    loop {
        let _ = call(SYS_EXIT, [0; 6]);
    }
}

pub fn monotonic_now() -> u64 {
    let mut time = [0u64; 2];
    match call(SYS_CLOCK_GETTIME, [CLOCK_MONOTONIC, (&raw mut time) as u64, 0, 0, 0, 0]) {
        Ok(_) => time[0] * 1_000_000_000 + time[1],
        Err(_) => 0,
    }
}

/// Enters the image.
///
/// # Safety
/// `entry` is code that never returns and `stack` is aligned as right after a call.
pub unsafe fn jump(entry: u64, stack: u64, argument: u64) -> ! {
    // SAFETY: the caller vouches for both; this frame is never returned to.
    unsafe {
        asm!("mov rsp, {stack}", "xor ebp, ebp", "cld", "jmp {entry}",
            stack = in(reg) stack, entry = in(reg) entry, in("rdi") argument, options(noreturn));
    }
}

// The compiler may turn loops and copies into these calls, and no library is linked.
global_asm!(
    ".globl memcpy",
    "memcpy:",
    "mov rax, rdi",
    "mov rcx, rdx",
    "rep movsb",
    "ret",
    ".globl memset",
    "memset:",
    "mov r8, rdi",
    "mov eax, esi",
    "mov rcx, rdx",
    "rep stosb",
    "mov rax, r8",
    "ret",
);
