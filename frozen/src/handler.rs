//! The signal handler in which every thread of the JVM stands still. (The warm-up detector's timers share the signal: an
//! application has only so many to spare.)
//!
//! # Safety contract of this file
//! The handler runs with all signals blocked, on the stack of a thread that may hold any lock. It uses
//! raw system calls and the slot that the signal's value names, which is this thread's alone until it
//! has parked (see `state`).
#![allow(unsafe_code)]

use crate::arch::{ARCH_GET_FS, Frame, hotfork_park};
use crate::state::{ARRIVALS, CAUGHT, GENERATION, RELEASED, VDSO, WAITING_CODE, slot, state_of};
use crate::syscall::{call, futex_wake_all, gettid};
use crate::{hotspot, sampling};
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};
use hotfork_abi::record::{STATE_RETRY, ThreadSlot};
use linux_raw_sys::general as nr;
use linux_raw_sys::prctl::PR_GET_NAME;

/// prctl(2), since Linux 3.5; not in linux-raw-sys' list.
const PR_GET_TID_ADDRESS: u32 = 40;
/// A thread that keeps a caught signal blocked for longer than this many tries does so for itself,
/// and is not inside a handler.
const MASK_RETRIES: u32 = 50;

/// A thread on its way into a wait is in libc for some hundred nanoseconds, and gone when it is signalled again. One that
/// computes there is met there each time, and each time costs the stop a time slice where processors are busy.
const WAIT_RETRIES: u32 = 3;

/// `siginfo_t` of a signal sent by rt_tgsigqueueinfo(2).
#[repr(C)]
pub struct SignalInfo {
    pub signal: i32,
    pub errno: i32,
    pub code: i32,
    pub spare: i32,
    pub pid: i32,
    pub uid: u32,
    /// Generation in the upper half, slot index in the lower.
    pub value: u64,
    pub rest: [u64; 12],
}

pub const SI_QUEUE: i32 = -1;
/// A CPU timer of the warm-up detector.
const SI_TIMER: i32 = -2;

/// The handler, to be installed with SA_SIGINFO | SA_RESTART and a full mask. (Without SA_RESTART
/// `DatagramSocket.receive` of JDK 25 returns an empty packet: its loop does not know EINTR.)
///
/// # Safety
/// Called by the kernel only, as the handler that it is.
pub unsafe extern "C" fn on_freeze(_signal: i32, info: *const SignalInfo, ucontext: u64) {
    // SAFETY: the kernel passes a valid siginfo to an SA_SIGINFO handler.
    let (code, value) = unsafe { ((*info).code, (*info).value) };
    if code == SI_TIMER {
        // SAFETY: `ucontext` is the third argument of this handler.
        sampling::add(unsafe { Frame::new(ucontext) }.instruction());
        return;
    }
    let generation = (value >> 32) as u32;
    if code != SI_QUEUE || generation != GENERATION.load(SeqCst) {
        return;
    }
    let Some(slot) = slot(value as u32) else { return };
    // SAFETY: `ucontext` is the third argument of this handler, which does not return while it is used.
    let frame = unsafe { Frame::new(ucontext) };
    // SAFETY: the slot is this thread's until it has answered.
    let retries = unsafe { (*slot).retries };
    if must_go_on(frame, retries) {
        // SAFETY: the slot came from `slot`.
        unsafe { state_of(slot) }.store(STATE_RETRY, SeqCst);
        if ARRIVALS.count.fetch_add(1, SeqCst).wrapping_add(1) == ARRIVALS.target.load(SeqCst) {
            futex_wake_all(&ARRIVALS.count, false);
        }
        return;
    }
    // SAFETY: as above; `describe` fills this thread's own slot.
    unsafe { describe(slot) };
    // SAFETY: as above.
    unsafe {
        (*slot).ucontext = ucontext;
        (*slot).interrupted = frame.stack_pointer();
        (*slot).alternate_stack = frame.alternate_stack();
    }
    // SAFETY: the slot is filled, the words are static, and this frame stays as it is until the return.
    unsafe { hotfork_park(slot, RELEASED.as_ptr(), generation, (&raw const ARRIVALS).cast()) };
    // An instance ends this handler without coming here (see `instance::back`).
    if let Some(poll) = frame.interrupted_poll().filter(|poll| poll.timeout < 0) {
        // A signal may come just before such a call as well, so nobody counts on its EINTR.
        poll.call_again();
    }
}

/// A thread inside the vdso must leave it: the instance has another one there. A thread inside
/// another handler must leave that: its outer frame would need editing as well. A thread that is about to wait must do
/// so, or its deadline stays one of this host's clock.
fn must_go_on(frame: Frame, retries: u32) -> bool {
    let at = frame.instruction();
    is_in(&VDSO, at)
        || (retries < MASK_RETRIES && frame.blocked() & CAUGHT.load(SeqCst) != 0)
        || (retries < WAIT_RETRIES && is_in(&WAITING_CODE, at) && frame.interrupted_call().is_none())
}

fn is_in(ranges: &[[AtomicU64; 2]], at: u64) -> bool {
    ranges.iter().any(|[from, to]| (from.load(SeqCst)..to.load(SeqCst)).contains(&at))
}

/// Writes down what the kernel knows of the calling thread and only the thread itself can ask.
///
/// # Safety
/// `slot` is the calling thread's own.
pub(crate) unsafe fn describe(slot: *mut ThreadSlot) {
    // SAFETY: every call writes into a field of the caller's own slot, each of the size that the call
    // writes (8 bytes, 8 and 8, 8, 16), or fails and writes nothing.
    unsafe {
        (*slot).tid = gettid().unwrap_or(0) as i32;
        let _ = call(nr::__NR_arch_prctl, [ARCH_GET_FS, &raw mut (*slot).fs_base as u64, 0, 0, 0, 0]);
        let list = &raw mut (*slot).robust_list as u64;
        let _ = call(nr::__NR_get_robust_list, [0, list, &raw mut (*slot).robust_length as u64, 0, 0, 0]);
        let clear_tid = &raw mut (*slot).clear_tid as u64;
        if call(nr::__NR_prctl, [PR_GET_TID_ADDRESS.into(), clear_tid, 0, 0, 0, 0]).is_err() {
            // Kernels without CONFIG_CHECKPOINT_RESTORE, and gVisor.
            (*slot).clear_tid = (*slot).fs_base.wrapping_add(hotspot::tid_offset());
        }
        let _ = call(nr::__NR_prctl, [PR_GET_NAME.into(), &raw mut (*slot).name as u64, 0, 0, 0, 0]);
    }
}
