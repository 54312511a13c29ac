//! The system calls this crate makes, by name.
//!
//! # Safety contract of this file
//! `unsafe` is needed for the raw call only. Each wrapper takes references or slices where the kernel
//! reads or writes memory; those that take bare addresses are `unsafe fn` and say what must hold.
#![allow(unsafe_code)]

use crate::Errno;
use crate::arch::syscall6;
use core::sync::atomic::AtomicU32;
use hotfork_abi::clock::Clocks;
use linux_raw_sys::general as nr;

fn result(value: i64) -> Result<u64, Errno> {
    if (-4095..0).contains(&value) { Err(Errno(-value as i32)) } else { Ok(value as u64) }
}

/// A call whose arguments are numbers, or addresses of memory that the kernel only uses as it may.
///
/// # Safety
/// As for [`syscall6`].
pub unsafe fn call(number: u32, arguments: [u64; 6]) -> Result<u64, Errno> {
    // SAFETY: the caller's promise is the same.
    result(unsafe { syscall6(number.into(), arguments) })
}

macro_rules! numbers_only {
    ($($(#[$meta:meta])* $vis:vis fn $name:ident($($argument:ident: $ty:ty),*) = $number:path;)*) => {$(
        $(#[$meta])*
        $vis fn $name($($argument: $ty),*) -> Result<u64, Errno> {
            let given: &[u64] = &[$($argument as u64),*];
            let mut arguments = [0u64; 6];
            for (place, value) in arguments.iter_mut().zip(given.iter().copied()) {
                *place = value;
            }
            // SAFETY: this call takes numbers only and writes no memory of the caller.
            unsafe { call($number, arguments) }
        }
    )*};
}

numbers_only! {
    pub fn getpid() = nr::__NR_getpid;
    pub fn gettid() = nr::__NR_gettid;
    pub fn close(fd: i32) = nr::__NR_close;
    pub fn close_range(first: u32, last: u32, flags: u32) = nr::__NR_close_range;
    pub fn lseek(fd: i32, offset: i64, whence: u32) = nr::__NR_lseek;
    pub fn tgkill(pid: i32, tid: i32, signal: i32) = nr::__NR_tgkill;
    pub fn kill(pid: i32, signal: i32) = nr::__NR_kill;
    pub fn membarrier(command: u32) = nr::__NR_membarrier;
    pub fn prctl_number(option: u32, value: u64) = nr::__NR_prctl;
    pub fn sched_yield() = nr::__NR_sched_yield;
}

pub fn exit_group(status: i32) -> ! {
    loop {
        // SAFETY: exit_group takes a number and does not come back.
        let _ = unsafe { call(nr::__NR_exit_group, [status as u64, 0, 0, 0, 0, 0]) };
    }
}

pub fn write(fd: i32, bytes: &[u8]) -> Result<u64, Errno> {
    // SAFETY: the kernel reads `bytes.len()` bytes of the slice.
    unsafe { call(nr::__NR_write, [fd as u64, bytes.as_ptr() as u64, bytes.len() as u64, 0, 0, 0]) }
}

pub fn getdents64(fd: i32, buffer: &mut [u8]) -> Result<u64, Errno> {
    // SAFETY: the kernel writes at most `buffer.len()` bytes into the slice.
    unsafe { call(nr::__NR_getdents64, [fd as u64, buffer.as_mut_ptr() as u64, buffer.len() as u64, 0, 0, 0]) }
}

/// `path` ends with NUL.
pub fn open(path: &core::ffi::CStr, flags: u32) -> Result<i32, Errno> {
    // SAFETY: the kernel reads the NUL-terminated path.
    unsafe { call(nr::__NR_openat, [nr::AT_FDCWD as i64 as u64, path.as_ptr() as u64, flags.into(), 0, 0, 0]) }
        .map(|fd| fd as i32)
}

fn clock(id: u32) -> u64 {
    let mut time = [0u64; 2];
    // SAFETY: the kernel writes one timespec, which is two 8-byte words.
    let _ = unsafe { call(nr::__NR_clock_gettime, [id.into(), time.as_mut_ptr() as u64, 0, 0, 0, 0]) };
    time[0].wrapping_mul(1_000_000_000).wrapping_add(time[1])
}

/// CLOCK_MONOTONIC in nanoseconds.
pub fn monotonic() -> u64 {
    clock(nr::CLOCK_MONOTONIC)
}

pub fn clocks() -> Clocks {
    Clocks { monotonic: monotonic(), boottime: clock(nr::CLOCK_BOOTTIME), realtime: clock(nr::CLOCK_REALTIME) }
}

/// The processor that the calling thread is on.
pub fn getcpu() -> u32 {
    let mut cpu = 0u32;
    // SAFETY: the kernel writes one number; the others that it could write are not asked for (null).
    let _ = unsafe { call(nr::__NR_getcpu, [(&raw mut cpu) as u64, 0, 0, 0, 0, 0]) };
    cpu
}

const EFAULT: i32 = 14;

/// The four bytes at an address of this process, which need not be mapped.
pub fn peek(address: u64) -> Result<u32, Errno> {
    let mut word = 0u32;
    let (own, there) = ([&raw mut word as u64, 4], [address, 4]);
    // SAFETY: the kernel writes at most four bytes into `word`, and reads the two iovecs, each of two 8-byte words.
    let read =
        unsafe { call(nr::__NR_process_vm_readv, [getpid()?, own.as_ptr() as u64, 1, there.as_ptr() as u64, 1, 0]) };
    if read? == 4 { Ok(word) } else { Err(Errno(EFAULT)) }
}

/// Waits while `*word == seen`, at most `nanoseconds`; returns for any reason at all.
pub fn futex_wait(word: &AtomicU32, seen: u32, nanoseconds: u64, shared: bool) {
    let timeout = [nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000];
    let operation = nr::FUTEX_WAIT | if shared { 0 } else { nr::FUTEX_PRIVATE_FLAG };
    // SAFETY: the word is a live atomic and the timeout two 8-byte words, both only read by the kernel.
    let _ = unsafe {
        call(nr::__NR_futex, [word.as_ptr() as u64, operation.into(), seen.into(), timeout.as_ptr() as u64, 0, 0])
    };
}

pub fn futex_wake_all(word: &AtomicU32, shared: bool) {
    let operation = nr::FUTEX_WAKE | if shared { 0 } else { nr::FUTEX_PRIVATE_FLAG };
    // SAFETY: FUTEX_WAKE only uses the word's address.
    let _ = unsafe { call(nr::__NR_futex, [word.as_ptr() as u64, operation.into(), i32::MAX as u64, 0, 0, 0]) };
}

/// Sets the calling thread's signal mask and returns the old one.
pub fn set_signal_mask(mask: u64) -> u64 {
    let mut old = 0u64;
    // SAFETY: the kernel reads and writes one 8-byte signal set each.
    let _ = unsafe {
        call(nr::__NR_rt_sigprocmask, [2 /* SIG_SETMASK */, &raw const mask as u64, &raw mut old as u64, 8, 0, 0])
    };
    old
}

/// `struct sigaction` as the kernel knows it.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct KernelSigaction {
    pub handler: u64,
    pub flags: u64,
    pub restorer: u64,
    pub mask: u64,
}

pub fn get_sigaction(signal: i32, action: &mut KernelSigaction) -> Result<u64, Errno> {
    // SAFETY: the kernel writes one `struct sigaction`, whose layout `KernelSigaction` has.
    unsafe { call(nr::__NR_rt_sigaction, [signal as u64, 0, &raw mut *action as u64, 8, 0, 0]) }
}

/// # Safety
/// The handler and the restorer are code of this address space that may run as such.
pub unsafe fn set_sigaction(signal: i32, action: &KernelSigaction) -> Result<u64, Errno> {
    // SAFETY: the kernel reads one `struct sigaction`; that its handler is sound is the caller's promise.
    unsafe { call(nr::__NR_rt_sigaction, [signal as u64, &raw const *action as u64, 0, 8, 0, 0]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_not_mapped_is_told_and_not_met() {
        let word = 7u32;
        assert_eq!(peek(&raw const word as u64), Ok(7));
        assert_eq!(peek(8), Err(Errno(EFAULT)));
    }
}
