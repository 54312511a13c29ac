//! HotSpot's monotonic clock in an instance: it goes on from where it was at the capture, plus the nap, whatever the
//! host's clock shows. libjvm asks for the time, and waits until a time, through two functions of libc; in a template
//! the words of its global offset table that lead there are made to lead here. The captured JVM keeps its own.
//!
//! # Safety contract of this file
//! The slots were found by the agent in libjvm's relocations, for symbols of these two names. They are written in
//! the template, which has one thread. `clock_gettime` and `cond_timedwait` are called by libjvm in an instance only,
//! with what libc's functions of that name take; the words here were set before an instance had a second thread.
#![allow(unsafe_code)]

use crate::instance::epoch;
use crate::syscall::call;
use core::mem::transmute;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicI64, AtomicPtr, AtomicU64, Ordering::SeqCst};
use hotfork_abi::PAGE;
use hotfork_abi::record::{CALL_CLOCK_GETTIME, ClockSlot, JvmClock, ThreadSlot};
use linux_raw_sys::general as nr;

const SECOND: i64 = 1_000_000_000;
/// Bit 1 of glibc's `__wrefs`: the condition variable's clock is CLOCK_MONOTONIC (nptl/pthread_cond_common.c).
const COND_CLOCK_MONOTONIC: u32 = 2;

/// `struct timespec`
type Time = [i64; 2];
type ClockGettime = unsafe extern "C" fn(i32, *mut Time) -> i32;
type CondTimedwait = unsafe extern "C" fn(u64, u64, *const Time) -> i32;

static CLOCK_GETTIME: AtomicU64 = AtomicU64::new(0);
static COND_TIMEDWAIT: AtomicU64 = AtomicU64::new(0);
static COND_CLOCK: AtomicU64 = AtomicU64::new(0);
/// What the host's clock is ahead of HotSpot's: seconds, and nanoseconds from 0 to 999,999,999.
static AHEAD: [AtomicI64; 2] = [const { AtomicI64::new(0) }; 2];

/// The slots whose `edited` are this instance's, and their number.
static EDITED: AtomicPtr<ThreadSlot> = AtomicPtr::new(null_mut());
static EDITED_COUNT: AtomicU64 = AtomicU64::new(0);
/// The lower bits of the nanoseconds of every edited deadline: whether one is, is asked of one wait in a thousand.
const MARK: u64 = 0x155;
const MARK_BITS: u64 = 0x3ff;

fn ahead() -> Time {
    [AHEAD[0].load(SeqCst), AHEAD[1].load(SeqCst)]
}

/// What HotSpot's clock shows when the host's shows `monotonic` nanoseconds.
pub fn of_the_jvm(monotonic: u64) -> u64 {
    let [seconds, nanoseconds] = ahead();
    monotonic.wrapping_sub(seconds.wrapping_mul(SECOND).wrapping_add(nanoseconds) as u64)
}

/// Addresses of libc's two functions, where HotSpot's calls lead here already: in an instance. 0 elsewhere.
pub fn originals() -> [u64; 2] {
    [CLOCK_GETTIME.load(SeqCst), COND_TIMEDWAIT.load(SeqCst)]
}

/// Addresses of the two functions here.
pub fn replacements() -> [u64; 2] {
    [clock_gettime as *const () as u64, cond_timedwait as *const () as u64]
}

/// In the template: leads libjvm's calls here, all or none of them.
pub(crate) fn replace(clock: &mut JvmClock) {
    let count = clock.slot_count as usize;
    let Some(slots) = clock.slots.get(..count).filter(|slots| !slots.is_empty()) else { return };
    CLOCK_GETTIME.store(clock.clock_gettime, SeqCst);
    COND_TIMEDWAIT.store(clock.cond_timedwait, SeqCst);
    COND_CLOCK.store(clock.cond_clock, SeqCst);
    // One of the two without the other would make every timed wait as wrong as the clock is right.
    let writable = nr::PROT_READ | nr::PROT_WRITE;
    if slots.iter().all(|slot| protect(slot, writable)) {
        let [gettime, timedwait] = replacements();
        for slot in slots {
            let function = if slot.function == CALL_CLOCK_GETTIME { gettime } else { timedwait };
            // SAFETY: an aligned word of libjvm's global offset table, writable now, and no other thread to read it.
            unsafe { *(slot.address as *mut u64) = function };
        }
        clock.replaced = 1;
    }
    for slot in slots {
        // A page that stays writable is no harm.
        let _ = protect(slot, slot.protection);
    }
}

fn protect(slot: &ClockSlot, protection: u32) -> bool {
    let page = slot.address & !(PAGE - 1);
    // SAFETY: the page of a word of libjvm's data, which stays readable.
    unsafe { call(nr::__NR_mprotect, [page, PAGE, protection.into(), 0, 0, 0]) }.is_ok()
}

/// In an instance that has one thread: from now on HotSpot's clock has gone on by `nap` since the capture.
pub(crate) fn go_on(clock: &JvmClock, now: u64, nap: u64) {
    if clock.replaced == 0 {
        return;
    }
    let ahead = now.wrapping_sub(clock.monotonic.wrapping_add(nap)) as i64;
    AHEAD[0].store(ahead.div_euclid(SECOND), SeqCst);
    AHEAD[1].store(ahead.rem_euclid(SECOND), SeqCst);
    if clock.last_deflation != 0 {
        // HotSpot deflates once in a minute: nobody has inflated a monitor during the nap.
        // SAFETY: an aligned word of libjvm's data, and no other thread to read it.
        unsafe { *(clock.last_deflation as *mut u64) += nap };
    }
}

/// Where the words lie that an instance's beginning writes.
pub(crate) fn word() -> u64 {
    EDITED.as_ptr() as u64
}

/// Before an instance edits deadlines: the slots of its threads, which stay mapped for ever.
pub(crate) fn note_slots(slots: *mut ThreadSlot, count: u64) {
    EDITED.store(slots, SeqCst);
    EDITED_COUNT.store(count, SeqCst);
}

/// `until` nanoseconds of the host's clock as an edited deadline, less than a microsecond off.
pub(crate) fn marked(until: u64) -> [u64; 2] {
    const SECOND: u64 = self::SECOND as u64;
    [until / SECOND, ((until % SECOND) & !MARK_BITS) | MARK]
}

/// Whether this is a deadline that a restore has edited: HotSpot waits for it once more where a signal that was meant for an
/// earlier wait has woken the thread (`PlatformEvent::park`).
///
/// # Safety
/// `until` is a timespec, and all threads of this instance have been revived.
unsafe fn is_edited(until: *const Time) -> bool {
    let slots = EDITED.load(SeqCst);
    // SAFETY: the caller's timespec.
    let [seconds, nanoseconds] = unsafe { *until };
    let wanted = [until as u64, seconds as u64, nanoseconds as u64];
    // SAFETY: `note_slots` was told of so many slots; the threads wrote their `edited` before the first release.
    (0..EDITED_COUNT.load(SeqCst)).any(|index| unsafe { (*slots.add(index as usize)).edited } == wanted)
}

/// clock_gettime(2)
///
/// # Safety
/// As for libc's; called through a slot that `replace` has written.
unsafe extern "C" fn clock_gettime(clock: i32, time: *mut Time) -> i32 {
    // SAFETY: the slot held this address, of a function with this signature.
    let original: ClockGettime = unsafe { transmute(CLOCK_GETTIME.load(SeqCst)) };
    loop {
        let before = epoch();
        // SAFETY: what the caller passed.
        let status = unsafe { original(clock, time) };
        if clock != nr::CLOCK_MONOTONIC as i32 || status != 0 {
            return status;
        }
        let [seconds, nanoseconds] = ahead();
        // A capture may lie between the two readings, and then they are of two hosts.
        if epoch() == before {
            // SAFETY: the original has written there.
            let [host_seconds, host_nanoseconds] = unsafe { *time };
            let borrow = i64::from(host_nanoseconds < nanoseconds);
            let rest = host_nanoseconds - nanoseconds + borrow * SECOND;
            // SAFETY: as above.
            unsafe { *time = [host_seconds - seconds - borrow, rest] };
            return 0;
        }
    }
}

/// pthread_cond_timedwait(3)
///
/// # Safety
/// As for libc's; called through a slot that `replace` has written.
unsafe extern "C" fn cond_timedwait(condition: u64, mutex: u64, until: *const Time) -> i32 {
    // SAFETY: the slot held this address, of a function with this signature.
    let original: CondTimedwait = unsafe { transmute(COND_TIMEDWAIT.load(SeqCst)) };
    // SAFETY: the agent found the word at this offset in every condition variable of this libc.
    let flags = unsafe { *((condition + COND_CLOCK.load(SeqCst)) as *const u32) };
    if flags & COND_CLOCK_MONOTONIC == 0 {
        // SAFETY: what the caller passed.
        return unsafe { original(condition, mutex, until) };
    }
    let [seconds, nanoseconds] = ahead();
    // SAFETY: the caller's timespec.
    let [until_seconds, until_nanoseconds] = unsafe { *until };
    // SAFETY: libjvm runs after the first release only.
    if until_nanoseconds as u64 & MARK_BITS == MARK && unsafe { is_edited(until) } {
        // SAFETY: what the caller passed.
        return unsafe { original(condition, mutex, until) };
    }
    let sum = until_nanoseconds.wrapping_add(nanoseconds);
    let carry = i64::from(sum >= SECOND);
    // The wait reads its deadline here, where a restore finds and edits it (`waits::keep_waiting`).
    let until = [until_seconds.saturating_add(seconds + carry), sum - carry * SECOND];
    // SAFETY: the caller's condition and mutex, and a timespec that lives until the call returns.
    unsafe { original(condition, mutex, &raw const until) }
}

#[cfg(test)]
#[path = "clock_tests.rs"]
mod tests;
