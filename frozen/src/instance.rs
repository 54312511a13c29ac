//! A restored process, from the restorer's jump to running threads.
//!
//! # Safety contract of this file
//! `instance_prepare` runs once in a process, with no other thread but perhaps the restorer's second one, which brings pages in by madvise(2) and
//! uses no memory but the scaffold, until it calls `instance_others`; then `instance_entry`, on the entry stack. The address space is the
//! template's. Slots are the template's: each revived thread uses its own, and whoever claims a number may use its slot until then.
#![allow(unsafe_code)]

use crate::arch::{ARCH_SET_FS, Frame, hotfork_return, hotfork_revive, hotfork_wake, touch};
use crate::say::die;
use crate::state::slot;
use crate::syscall::{call, futex_wait, futex_wake_all, gettid, membarrier, monotonic, prctl_number, set_sigaction};
use crate::template::{RECORD, SIGACTIONS};
use crate::{clock, waits};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};
use hotfork_abi::record::{FLAG_HELD, FLAG_LATE, ThreadSlot};
use hotfork_abi::restore::{FIRST_MOMENTS, InstanceArgs, TIME_THREADS};
use hotfork_abi::{PAGE, Plain};
use linux_raw_sys::general as nr;
use linux_raw_sys::prctl::PR_SET_NAME;

/// Two releases: first the JVM's own threads, then those of the application that were held back.
static FIRST: AtomicU32 = AtomicU32::new(0);
static SECOND: AtomicU32 = AtomicU32::new(0);
/// Threads of this instance that exist and stand in their handlers.
static REVIVED: AtomicU32 = AtomicU32::new(0);
/// How many there will be.
static EXPECTED: AtomicU32 = AtomicU32::new(0);
/// Which instance this is: a captured instance restores as the next one.
static EPOCH: AtomicU32 = AtomicU32::new(0);
/// CLOCK_MONOTONIC when this instance began.
static START: AtomicU64 = AtomicU64::new(0);

/// CLOCK_MONOTONIC when all threads of this instance existed.
static COMPLETE: AtomicU64 = AtomicU64::new(0);
/// Whether one of them runs on at the first release; else all sleep, or are kept.
static SOMEBODY_RUNS: AtomicBool = AtomicBool::new(false);
/// See `went_on`.
static WENT_ON: AtomicU64 = AtomicU64::new(0);

/// The next thread that is to be made.
static NEXT: AtomicU32 = AtomicU32::new(0);
/// `InstanceArgs::nap`
static NAP: AtomicU64 = AtomicU64::new(0);

struct Arguments(UnsafeCell<Option<InstanceArgs>>);
// SAFETY: written by `instance_entry` before the capturing thread exists, used by that one and whom it lets go.
unsafe impl Sync for Arguments {}
static ARGUMENTS: Arguments = Arguments(UnsafeCell::new(None));

const RSEQ_SIGNATURE: u64 = 0x5305_3053;
/// What glibc registers, whatever part of it is in use.
const RSEQ_LENGTH: u64 = 32;
/// `RSEQ_CPU_ID_REGISTRATION_FAILED`
const RSEQ_FAILED: u32 = -2i32 as u32;
const SIGNALS: i32 = 64;
const SIG_DFL: u64 = 0;
const SIG_IGN: u64 = 1;

/// All that is to be done before a thread is made.
///
/// # Safety
/// Called once, by the restorer, with the address of arguments whose times are not all there yet, all signals blocked.
pub unsafe extern "C" fn instance_prepare(arguments: *const InstanceArgs) {
    // SAFETY: the restorer passes arguments in which these two are valid.
    let (ignored_signals, nap) = unsafe { ((*arguments).ignored_signals, (*arguments).nap) };
    restore_signals(ignored_signals);
    // The registration belongs to the address space; HotSpot and glibc count on it. Kernels without it say no.
    let _ = membarrier(nr::membarrier_cmd::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED as u32);
    EPOCH.fetch_add(1, SeqCst);
    let now = monotonic();
    START.store(now, SeqCst);
    // SAFETY: the template filled the record before it became an image; its slots are mapped and writable. The sweeper's count is an
    // aligned word of libjvm's data.
    unsafe {
        clock::go_on(&(*RECORD.get()).jvm_clock, now, nap);
        // An instance changes little, and the sweeper must not come for what the captured JVM has changed.
        if (*RECORD.get()).bytes_changed != 0 {
            *((*RECORD.get()).bytes_changed as *mut u64) = 0;
        }
        let (slots, count) = ((*RECORD.get()).slots, (*RECORD.get()).slot_count);
        clock::note_slots(slots as *mut ThreadSlot, count);
        // Threads will write there, and this is before anybody reads (see `own_first_pages`).
        let mut page = slots;
        while page < slots + count * size_of::<ThreadSlot>() as u64 {
            touch(page);
            page += PAGE;
        }
    }
    NAP.store(nap, SeqCst);
    REVIVED.store(0, SeqCst);
    COMPLETE.store(0, SeqCst);
    WENT_ON.store(0, SeqCst);
    NEXT.store(CAPTURER + 1, SeqCst);
}

/// The restorer's second thread makes threads, beside the first one.
pub extern "C" fn instance_others() {
    while revive_next() {}
}

/// Where the restorer jumps to.
///
/// # Safety
/// Called once, by the restorer, after `instance_prepare`, with the address of valid arguments, all signals blocked.
pub unsafe extern "C" fn instance_entry(arguments: *const InstanceArgs) -> ! {
    // SAFETY: the restorer passes valid arguments, and no thread that uses them exists yet.
    unsafe { *ARGUMENTS.0.get() = Some(*arguments) };
    if EXPECTED.load(SeqCst) > CAPTURER {
        revive(CAPTURER);
    }
    while revive_next() {}
    // SAFETY: the template filled the record before it became an image.
    become_leader(unsafe { (*RECORD.get()).leader as u32 })
}

/// In the order of `fork::order` the leader is 0, which the process's first thread becomes. The capturer, which has most to do, is the
/// next (where it is not the leader itself).
const CAPTURER: u32 = 1;

/// Where there are more processors: one after the other would take as long as all clone calls together.
fn revive_two() {
    let _ = revive_next() && revive_next();
}

/// Makes a thread that nobody has made yet; whether there was one.
fn revive_next() -> bool {
    let number = NEXT.fetch_add(1, SeqCst);
    let there_is_one = number < EXPECTED.load(SeqCst);
    if there_is_one {
        revive(number);
    }
    there_is_one
}

fn restore_signals(ignored: u64) {
    for signal in 1..=SIGNALS {
        // SIGKILL and SIGSTOP have no disposition to set.
        if signal == 9 || signal == 19 {
            continue;
        }
        // SAFETY: the template wrote all of SIGACTIONS, and nobody writes them in an instance before it is captured again.
        let Some(mut action) = (unsafe { (*SIGACTIONS.get()).get(signal as usize - 1).copied() }) else { continue };
        // SIGHUP, SIGINT: whether to ignore them is the caller's matter, not the image's. SIGQUIT is HotSpot's
        // own in any case, as in a JVM that starts: attach and thread dumps need it, and a shell's `&` ignores it.
        if signal <= 2 {
            if ignored & (1 << (signal - 1)) != 0 {
                action.handler = SIG_IGN;
            } else if action.handler == SIG_IGN {
                action.handler = SIG_DFL;
            }
        }
        // SAFETY: handler and restorer are those of the captured process, whose code is mapped where it was.
        let _ = unsafe { set_sigaction(signal, &action) };
    }
}

/// Makes the thread that is so far back in the order.
fn revive(number: u32) {
    // SAFETY: `fork::order` wrote as many as there are threads.
    let index = slot(number).map_or(u32::MAX, |slot| unsafe { (*slot).nth });
    let Some(slot) = slot(index) else { die("an image names a thread that it does not hold", index.into()) };
    // SAFETY: no other thread uses the slot yet; a parked thread's stack is mapped and writable.
    unsafe { own_first_pages(slot) };
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
    revive_two();
    rejoin(slot);
    // SAFETY: the slot is the calling thread's, which has not returned from its handler.
    match unsafe { waits::undisturbed(slot) } {
        Some(wait) => wait.call_again(),
        None => wait_for_release(slot),
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
            (*slot).edited = waits::keep_waiting(frame, START.load(SeqCst), least);
            waits::keep_polling(frame);
        }
    }
    // Each wake costs whoever waits a turn of a processor, and a virtual machine an interrupt: the last one does it.
    if REVIVED.fetch_add(1, SeqCst) + 1 == EXPECTED.load(SeqCst) {
        COMPLETE.store(monotonic(), SeqCst);
        futex_wake_all(&REVIVED, false);
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

/// Where the words lie that an instance's beginning writes.
pub(crate) fn word() -> u64 {
    EPOCH.as_ptr() as u64
}

/// How many restores lie between the first JVM and this process.
pub fn epoch() -> u32 {
    EPOCH.load(SeqCst)
}

/// Holds a revived thread in its handler until its release.
fn wait_for_release(slot: *mut ThreadSlot) {
    // SAFETY: the slot is the calling thread's own, its flags were set before the fork.
    let flags = unsafe { (*slot).flags };
    let word = if flags & (FLAG_HELD | FLAG_LATE) != 0 { &SECOND } else { &FIRST };
    let epoch = EPOCH.load(SeqCst);
    wait_until(word, epoch, u64::MAX / 2);
    if flags & FLAG_LATE != 0 {
        wait_for_first_moments();
    } else if flags & FLAG_HELD != 0 {
        let _ = WENT_ON.compare_exchange(0, monotonic(), SeqCst, SeqCst);
    }
}

/// CLOCK_MONOTONIC when the first of the threads that were held went on; 0 before, and where none was held. Such a thread often takes
/// the processor from the one that let it go.
pub fn went_on() -> u64 {
    WENT_ON.load(SeqCst)
}

/// Waits until the word has the value, or for so many nanoseconds.
fn wait_until(word: &AtomicU32, value: u32, nanoseconds: u64) {
    let end = monotonic().saturating_add(nanoseconds);
    loop {
        let seen = word.load(SeqCst);
        let now = monotonic();
        if seen == value || now >= end {
            return;
        }
        futex_wait(word, seen, end - now, false);
    }
}

/// Before the fork: so many threads are parked, and one of them runs on or none does.
pub(crate) fn expect(count: u32, somebody_runs: bool) {
    EXPECTED.store(count, SeqCst);
    SOMEBODY_RUNS.store(somebody_runs, SeqCst);
}

/// Where a thread runs on it may hold a lock, of the allocator's for one, that the capturing thread waits for: then it is let go before
/// renewal, else after it, and renewal goes on while other threads still come back.
pub(crate) fn release_whoever_runs() {
    if SOMEBODY_RUNS.load(SeqCst) {
        first_release();
    }
}

/// The capturing thread, revived: waits for all others, then lets those go that are not held. The second call does nothing.
pub fn first_release() {
    if FIRST.load(SeqCst) == EPOCH.load(SeqCst) {
        return;
    }
    loop {
        let seen = REVIVED.load(SeqCst);
        if seen >= EXPECTED.load(SeqCst) {
            break;
        }
        futex_wait(&REVIVED, seen, u64::MAX / 2, false);
    }
    // The last one has counted itself, and is about to write it down.
    set_time(TIME_THREADS, Some(COMPLETE.load(SeqCst)).filter(|&time| time != 0).unwrap_or_else(monotonic));
    FIRST.store(EPOCH.load(SeqCst), SeqCst);
    futex_wake_all(&FIRST, false);
}

/// Lets the application threads go that waited in a system call.
pub fn second_release() {
    SECOND.store(EPOCH.load(SeqCst), SeqCst);
    futex_wake_all(&SECOND, false);
}

/// Leaves the application's first moments to the application.
pub fn wait_for_first_moments() {
    let epoch = EPOCH.load(SeqCst);
    // Nothing wakes it: the count changes with the next restore only.
    wait_until(&EPOCH, epoch.wrapping_add(1), FIRST_MOMENTS);
}

/// `InstanceArgs::nap`, as soon as there are threads.
pub(crate) fn nap() -> u64 {
    NAP.load(SeqCst)
}

/// Writes the current time into the instance's times.
pub fn stamp(index: usize) {
    set_time(index, monotonic());
}

fn set_time(index: usize, time: u64) {
    // SAFETY: only the capturing thread stamps, and only it reads.
    if let Some(place) = unsafe { (*ARGUMENTS.0.get()).as_mut() }.and_then(|a| a.times.get_mut(index)) {
        *place = time;
    }
}

/// What this instance was told by its restore; zeroes in a process that is no instance.
pub fn arguments() -> InstanceArgs {
    // SAFETY: as for `stamp`.
    unsafe { *ARGUMENTS.0.get() }.unwrap_or_else(InstanceArgs::zeroed)
}

/// Ends the process with a line: an instance that cannot go on must not go on half-renewed.
pub fn give_up(text: &str, number: i64) -> ! {
    die(text, number)
}
