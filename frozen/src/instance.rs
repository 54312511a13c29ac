//! A restored process, from the restorer's jump to running threads.
//!
//! # Safety contract of this file
//! `instance_prepare` runs once in a process, with no other thread but perhaps the restorer's second one, which brings pages in by madvise(2) and
//! uses no memory but the scaffold, until it calls `instance_others`; then `instance_entry`, on the entry stack. The address space is the
//! template's.
#![allow(unsafe_code)]

use crate::arch::touch;
use crate::clock;
use crate::revival;
use crate::say::die;
use crate::syscall::{futex_wait, futex_wake_all, membarrier, monotonic, set_sigaction};
use crate::template::{RECORD, SIGACTIONS};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};
use hotfork_abi::record::{FLAG_HELD, FLAG_LATE, ThreadSlot};
use hotfork_abi::restore::{FIRST_MOMENTS, InstanceArgs, TIME_THREADS};
use hotfork_abi::{PAGE, Plain};
use linux_raw_sys::general as nr;

/// Two releases: first the JVM's own threads, then those of the application that were held back.
static FIRST: AtomicU32 = AtomicU32::new(0);
static SECOND: AtomicU32 = AtomicU32::new(0);
/// Which instance this is: a captured instance restores as the next one.
static EPOCH: AtomicU32 = AtomicU32::new(0);
/// CLOCK_MONOTONIC when this instance began.
static START: AtomicU64 = AtomicU64::new(0);
/// Whether one of them runs on at the first release; else all sleep, or are kept.
static SOMEBODY_RUNS: AtomicBool = AtomicBool::new(false);
/// See `went_on`.
static WENT_ON: AtomicU64 = AtomicU64::new(0);
/// `InstanceArgs::nap`
static NAP: AtomicU64 = AtomicU64::new(0);

struct Arguments(UnsafeCell<Option<InstanceArgs>>);
// SAFETY: written by `instance_entry` before the capturing thread exists, used by that one and whom it lets go.
unsafe impl Sync for Arguments {}
static ARGUMENTS: Arguments = Arguments(UnsafeCell::new(None));

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
    WENT_ON.store(0, SeqCst);
    revival::restart();
}

/// Where the restorer jumps to.
///
/// # Safety
/// Called once, by the restorer, after `instance_prepare`, with the address of valid arguments, all signals blocked.
pub unsafe extern "C" fn instance_entry(arguments: *const InstanceArgs) -> ! {
    // SAFETY: the restorer passes valid arguments, and no thread that uses them exists yet.
    unsafe { *ARGUMENTS.0.get() = Some(*arguments) };
    // SAFETY: the template filled the record before it became an image.
    revival::begin(unsafe { (*RECORD.get()).leader as u32 })
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

/// Where the words lie that an instance's beginning writes.
pub(crate) fn word() -> u64 {
    EPOCH.as_ptr() as u64
}

/// How many restores lie between the first JVM and this process.
pub fn epoch() -> u32 {
    EPOCH.load(SeqCst)
}

/// CLOCK_MONOTONIC when this instance began.
pub(crate) fn start() -> u64 {
    START.load(SeqCst)
}

/// Holds a revived thread in its handler until its release.
pub(crate) fn wait_for_release(slot: *mut ThreadSlot) {
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
    revival::expect(count);
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
    set_time(TIME_THREADS, revival::complete());
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
