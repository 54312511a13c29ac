//! Waits that were under way when a thread was frozen: what becomes of them in an instance.
//!
//! # Safety contract of this file
//! All of it is about threads that stand in their handlers, below the frames that it reads and edits.
#![allow(unsafe_code)]

use crate::arch::{Frame, InterruptedWait};
use crate::syscall::peek;
use crate::template::RECORD;
use crate::{clock, instance};
use hotfork_abi::record::{FLAG_HELD, FLAG_LATE, ThreadSlot};

/// The wait that a thread was interrupted in, if it may go back into it at once: it runs nothing of its own then, and one sleep is
/// less work than two. Thirty threads that were first let go took the processor from renewal for a tenth of a millisecond.
///
/// # Safety
/// `slot` is a parked thread's, other than the capturer.
pub(crate) unsafe fn undisturbed(slot: *mut ThreadSlot) -> Option<InterruptedWait> {
    // SAFETY: the thread is parked in its handler, below its frame.
    let (flags, frame) = unsafe { ((*slot).flags, Frame::new((*slot).ucontext)) };
    if flags & (FLAG_HELD | FLAG_LATE) != 0 {
        return None;
    }
    // Nobody changes such a word before the first release: all threads stand still, or sleep like this one.
    // SAFETY: threads come back in instances only.
    frame.interrupted_wait().filter(|wait| unsafe { wait.would_wait() })
}

/// Whether a thread runs on at the first release. For the captured JVM, which must not end by a word that somebody has unmapped
/// meanwhile: the kernel reads it.
///
/// # Safety
/// `slot` is a parked thread's.
pub(crate) unsafe fn runs_on(slot: *mut ThreadSlot) -> bool {
    // SAFETY: the thread is parked; only the capturer has no frame.
    let (flags, ucontext) = unsafe { ((*slot).flags, (*slot).ucontext) };
    if ucontext == 0 || flags & (FLAG_HELD | FLAG_LATE) != 0 {
        return false;
    }
    // SAFETY: the frame is below which the thread is parked.
    let wait = unsafe { Frame::new(ucontext) }.interrupted_wait();
    !wait.is_some_and(|wait| peek(wait.word()) == Ok(wait.seen()))
}

/// A timed wait keeps what it had left. Otherwise all deadlines of an old image have passed, and every waiting
/// thread wakes at once and takes the processors from the one that has something to do. `least` nanoseconds from `start`
/// on, when this instance began, it lasts in any case. Where the deadline lies, and what it is now; zeroes without one.
///
/// # Safety
/// `frame` is the calling thread's signal frame.
pub(crate) unsafe fn keep_waiting(frame: Frame, start: u64, least: u64) -> [u64; 3] {
    const SECOND: u64 = 1_000_000_000;
    let Some(deadline) = frame.futex_deadline() else { return [0; 3] };
    // SAFETY: the record was filled before the image was written.
    let captured = unsafe { (*RECORD.get()).clocks.monotonic };
    // SAFETY: the interrupted call's timespec, on this thread's own stack or in memory of its caller, who waits.
    unsafe {
        let time = deadline as *mut [u64; 2];
        let until = (*time)[0].saturating_mul(SECOND).saturating_add((*time)[1]);
        let left = until.saturating_sub(captured).max(least);
        let [seconds, nanoseconds] = clock::marked(start.saturating_add(left));
        *time = [seconds, nanoseconds];
        [deadline, seconds, nanoseconds]
    }
}

/// poll(2) and epoll_wait(2) do not hear of the restore where they need not. Java code has never seen their EINTR: it would take an
/// uncommon trap, and be compiled again. What waits for ever waits on; the time is up for what is shorter than the
/// nap; the rest begins anew with what System.nanoTime leaves of it, as after any EINTR.
pub(crate) fn keep_polling(frame: Frame) {
    let Some(poll) = frame.interrupted_poll() else { return };
    if poll.timeout < 0 {
        poll.call_again();
    } else if u64::from(poll.timeout.unsigned_abs()) * 1_000_000 <= napped() {
        poll.time_out();
    }
}

/// By how many nanoseconds HotSpot's clock has gone on since the capture; 0 where it shows the host's time.
fn napped() -> u64 {
    // SAFETY: the template filled the record before it became an image.
    if unsafe { (*RECORD.get()).jvm_clock.replaced } == 0 { 0 } else { instance::nap() }
}
