//! The threads of a restored process: made, told to the kernel, and back where they were interrupted.
//!
//! Whoever makes threads, makes the next one that nobody has made. On two processors two do: the restorer's second thread, and the
//! capturing thread, when it has renewed what it must. Each lets those that it has made come back before it makes another one: a thread
//! stays on its maker's processor, behind whoever is at work there, while the other processor may have nothing to do.
//!
//! # Safety contract of this file
//! Slots are the template's. Each revived thread uses its own, and whoever claims a number may use its slot until then; all addresses in a
//! slot are those of a thread that parked in its handler, or of the capturer.
#![allow(unsafe_code)]

use crate::arch::{ARCH_SET_FS, Frame, hotfork_return, hotfork_revive, hotfork_wake, touch};
use crate::say::die;
use crate::state::slot;
use crate::syscall::{call, futex_wait, futex_wake_all, getcpu, gettid, monotonic, prctl_number, sched_yield};
use crate::template::RECORD;
use crate::{instance, waits};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};
use hotfork_abi::record::{FLAG_HELD, ThreadSlot};
use hotfork_abi::restore::FIRST_MOMENTS;
use linux_raw_sys::general as nr;
use linux_raw_sys::prctl::PR_SET_NAME;

/// How many threads there will be.
static EXPECTED: AtomicU32 = AtomicU32::new(0);

/// What an instance counts.
struct Count {
    /// The next thread that is to be made.
    next: AtomicU32,
    /// Threads of this instance that exist and stand in their handlers.
    revived: AtomicU32,
    /// CLOCK_MONOTONIC when all threads of this instance existed.
    complete: AtomicU64,
    /// The restorer's second thread makes threads.
    shared: AtomicBool,
}

static COUNT: Count = Count {
    next: AtomicU32::new(0),
    revived: AtomicU32::new(0),
    complete: AtomicU64::new(0),
    shared: AtomicBool::new(false),
};

const RSEQ_SIGNATURE: u64 = 0x5305_3053;
/// What glibc registers, whatever part of it is in use.
const RSEQ_LENGTH: u64 = 32;
/// `RSEQ_CPU_ID_REGISTRATION_FAILED`
const RSEQ_FAILED: u32 = -2i32 as u32;

/// In the order of `fork::order` the leader is 0, which the process's first thread becomes. The capturer, which has most to do, is the
/// next (where it is not the leader itself).
const CAPTURER: u32 = 1;

/// Before the fork: so many threads are parked.
pub(crate) fn expect(count: u32) {
    EXPECTED.store(count, SeqCst);
}

/// Before any thread of an instance is made.
pub(crate) fn restart() {
    COUNT.next.store(CAPTURER + 1, SeqCst);
    COUNT.revived.store(0, SeqCst);
    COUNT.complete.store(0, SeqCst);
    COUNT.shared.store(false, SeqCst);
}

/// The restorer's second thread makes threads, while the first one goes on into the instance.
pub extern "C" fn instance_others() {
    COUNT.shared.store(true, SeqCst);
    revive_rest();
}

/// The process's first thread makes the capturer, all others too where there is no second thread, and becomes the leader.
pub(crate) fn begin(leader: u32) -> ! {
    if EXPECTED.load(SeqCst) > CAPTURER {
        revive(CAPTURER);
    }
    if !COUNT.shared.load(SeqCst) {
        while revive_next() {}
    }
    become_leader(leader)
}

/// Makes what is left to be made, one after the other, and each comes back before the next is made.
fn revive_rest() {
    while revive_next() {
        let _ = sched_yield();
    }
}

/// Makes a thread that nobody has made yet; whether there was one.
fn revive_next() -> bool {
    let number = COUNT.next.fetch_add(1, SeqCst);
    let there_is_one = number < EXPECTED.load(SeqCst);
    if there_is_one {
        revive(number);
    }
    there_is_one
}

/// Makes the thread that is so far back in the order.
fn revive(number: u32) {
    // SAFETY: `fork::order` wrote as many as there are threads.
    let index = slot(number).map_or(u32::MAX, |slot| unsafe { (*slot).nth });
    let Some(slot) = slot(index) else { die("an image names a thread that it does not hold", index.into()) };
    // SAFETY: no other thread uses the slot yet; a parked thread's stack is mapped and writable.
    unsafe {
        (*slot).made_on = getcpu();
        own_first_pages(slot);
    }
    let flags = nr::CLONE_VM
        | nr::CLONE_FS
        | nr::CLONE_FILES
        | nr::CLONE_SIGHAND
        | nr::CLONE_THREAD
        | nr::CLONE_SYSVSEM
        | nr::CLONE_SETTLS
        | nr::CLONE_CHILD_SETTID
        | nr::CLONE_CHILD_CLEARTID;
    // SAFETY: the slot's FS base and tid address are those of a thread that parked, its frame is as it was then (the capturer's
    // registers and stack are), and nobody else uses the slot's stack.
    let tid = unsafe { hotfork_revive(slot, flags.into(), back) };
    if tid < 0 {
        die("could not make all threads of the image: raise the limit on processes (ulimit -u, pids.max)", tid);
    }
}

/// A thread that stood still in its handler, on the slot's stack: waits for its release, and goes on where it was interrupted.
extern "C" fn back(slot: *mut ThreadSlot) -> ! {
    // SAFETY: the slot is the calling thread's, filled by its maker.
    let made_on = unsafe { (*slot).made_on };
    // The kernel had another processor for it: one after the other would take as long as all clone calls together.
    if made_on != getcpu() {
        let _ = revive_next() && revive_next();
    }
    rejoin(slot);
    // SAFETY: the slot is the calling thread's, which has not returned from its handler.
    match unsafe { waits::undisturbed(slot) } {
        Some(wait) => wait.call_again(),
        None => instance::wait_for_release(slot),
    }
    // SAFETY: the slot is the calling thread's, which parked in its handler, below its frame.
    unsafe { hotfork_return(slot) }
}

/// Writes to the pages that the thread will write first, before anybody reads them: the copy of a page that was read
/// interrupts every processor that runs another thread of this process.
///
/// # Safety
/// `slot` is a parked thread's.
unsafe fn own_first_pages(slot: *mut ThreadSlot) {
    // SAFETY: by the contract of this function; the capturer goes on at its stack pointer, and the deadline, which
    // `freeze::classify` found, lies on the thread's stack or in its owner's memory.
    unsafe {
        match (*slot).edited[0] {
            _ if (*slot).ucontext == 0 => touch((*slot).registers.rsp),
            0 => {}
            deadline => touch(deadline),
        }
    }
}

fn become_leader(index: u32) -> ! {
    let Some(slot) = slot(index) else { die("an image names a first thread that it does not hold", index.into()) };
    // SAFETY: the leader's slot holds addresses of its own `struct pthread`, mapped where it was; glibc
    // keeps the tid in the word that clear_tid names.
    unsafe {
        (*slot).made_on = getcpu();
        *((*slot).clear_tid as *mut i32) = gettid().unwrap_or(0) as i32;
        let _ = call(nr::__NR_set_tid_address, [(*slot).clear_tid, 0, 0, 0, 0, 0]);
        let _ = call(nr::__NR_arch_prctl, [ARCH_SET_FS, (*slot).fs_base, 0, 0, 0, 0]);
        if (*slot).ucontext == 0 { hotfork_wake(slot) } else { back(slot) }
    }
}

/// What a revived thread does first: tells the kernel what only the thread itself can tell.
pub(crate) fn rejoin(slot: *mut ThreadSlot) {
    // SAFETY: the slot is the calling thread's own; its addresses are of the thread's own `struct
    // pthread` and `OSThread`, mapped where they were.
    unsafe {
        let _ = call(nr::__NR_set_robust_list, [(*slot).robust_list, (*slot).robust_length, 0, 0, 0, 0]);
        register_rseq((*slot).fs_base);
        let _ = prctl_number(PR_SET_NAME, (&raw const (*slot).name) as u64);
        if (*slot).os_thread_id != 0 {
            *((*slot).os_thread_id as *mut i32) = gettid().unwrap_or(0) as i32;
        }
        if (*slot).ucontext != 0 {
            let least = if (*slot).flags & FLAG_HELD == 0 { FIRST_MOMENTS } else { 0 };
            let frame = Frame::new((*slot).ucontext);
            (*slot).edited = waits::keep_waiting(frame, instance::start(), least);
            waits::keep_polling(frame);
        }
    }
    // Each wake costs whoever waits a turn of a processor, and a virtual machine an interrupt: the last one does it.
    if COUNT.revived.fetch_add(1, SeqCst) + 1 == EXPECTED.load(SeqCst) {
        COUNT.complete.store(monotonic(), SeqCst);
        futex_wake_all(&COUNT.revived, false);
    }
}

/// # Safety
/// `fs_base` is the calling thread's.
unsafe fn register_rseq(fs_base: u64) {
    // SAFETY: the record was filled before the image was written.
    let (offset, size) = unsafe { ((*RECORD.get()).rseq_offset, (*RECORD.get()).rseq_size) };
    if size == 0 {
        return;
    }
    let area = fs_base.wrapping_add_signed(offset);
    // SAFETY: the area is glibc's own rseq area of this thread, 32 bytes at least.
    unsafe {
        if call(nr::__NR_rseq, [area, RSEQ_LENGTH, 0, RSEQ_SIGNATURE, 0, 0]).is_err() {
            // Else sched_getcpu would answer with the capture's CPU for ever.
            *((area + 4) as *mut u32) = RSEQ_FAILED;
        }
    }
}

/// The capturing thread, which has nothing else to do: makes what is left to be made, and waits until all are back. CLOCK_MONOTONIC then.
pub(crate) fn complete() -> u64 {
    revive_rest();
    loop {
        let seen = COUNT.revived.load(SeqCst);
        if seen >= EXPECTED.load(SeqCst) {
            break;
        }
        futex_wait(&COUNT.revived, seen, u64::MAX / 2, false);
    }
    // The last one has counted itself, and is about to write it down.
    Some(COUNT.complete.load(SeqCst)).filter(|&time| time != 0).unwrap_or_else(monotonic)
}
