//! The few static words that frozen threads, the capturing thread and an instance share.
//!
//! # Safety contract of this file
//! The slot array, and the stacks behind it, are memory that the agent maps once and never unmaps. A slot is written by one
//! thread at a time: by the capturing thread until it sends the signal, by the signalled thread until that
//! has stored `STATE_PARKED`, `STATE_RETRY`; then by the capturing thread again. The state word itself
//! is only touched atomically.
#![allow(unsafe_code)]

use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering::SeqCst};
use hotfork_abi::PAGE;
use hotfork_abi::record::ThreadSlot;

/// Arrivals of signalled threads (parked or turned back), and the count that wakes the capturing thread.
#[repr(C)]
pub struct Arrivals {
    pub count: AtomicU32,
    pub target: AtomicU32,
}

/// Number of the capture under way; a late signal of an earlier one is ignored.
pub static GENERATION: AtomicU32 = AtomicU32::new(0);
/// Captures up to this one have let their threads go. A number, not a flag: a thread that is slow to
/// wake would take the next capture's flag for its own and wait for ever.
pub static RELEASED: AtomicU32 = AtomicU32::new(0);
pub static ARRIVALS: Arrivals = Arrivals { count: AtomicU32::new(0), target: AtomicU32::new(0) };

static SLOTS: AtomicPtr<ThreadSlot> = AtomicPtr::new(null_mut());
static SLOT_COUNT: AtomicU32 = AtomicU32::new(0);

/// The host's vdso, and stub pages of vdsos that earlier restores left: no thread may be frozen in these.
pub const VDSO_RANGES: usize = 8;
pub static VDSO: [[AtomicU64; 2]; VDSO_RANGES] = [const { [const { AtomicU64::new(0) }; 2] }; VDSO_RANGES];
/// Code in which a thread may carry a deadline that it has not handed to the kernel yet, where a restore finds it:
/// libc's wait and what takes its place. A thread is not frozen there outside of a system call, if that can be had.
pub static WAITING_CODE: [[AtomicU64; 2]; 2] = [const { [const { AtomicU64::new(0) }; 2] }; 2];
/// Signals that have a handler: a thread that blocks one of them may be inside that handler.
pub static CAUGHT: AtomicU64 = AtomicU64::new(0);

/// What a thread needs until it is back where it was interrupted. On its own stack each would write a page of it in each instance; of
/// these eight share one. (Some 200 bytes are used.)
const REVIVAL_STACK: usize = 512;

/// Where the stacks begin behind so many slots.
const fn stacks_at(capacity: usize) -> usize {
    (capacity * size_of::<ThreadSlot>()).next_multiple_of(PAGE as usize)
}

/// What so many slots take, with the stacks behind them.
pub const fn slots_length(capacity: usize) -> usize {
    stacks_at(capacity) + capacity * REVIVAL_STACK
}

/// Top of the stack of the slot with this index.
pub(crate) fn stack_of(index: u32) -> u64 {
    let stacks = SLOTS.load(SeqCst) as usize + stacks_at(SLOT_COUNT.load(SeqCst) as usize);
    (stacks + (index as usize + 1) * REVIVAL_STACK) as u64
}

/// Sets the slot array of the next capture.
///
/// # Safety
/// `slots` points to [`slots_length`] of `capacity` zeroes that stay mapped for the life of the process.
pub unsafe fn set_slots(slots: *mut ThreadSlot, capacity: u32) {
    SLOT_COUNT.store(0, SeqCst);
    SLOTS.store(slots, SeqCst);
    SLOT_COUNT.store(capacity, SeqCst);
}

/// The slot with this index, `None` past the array's end.
pub fn slot(index: u32) -> Option<*mut ThreadSlot> {
    if index >= SLOT_COUNT.load(SeqCst) {
        return None;
    }
    // SAFETY: index is below the capacity of the array that `set_slots` was promised.
    Some(unsafe { SLOTS.load(SeqCst).add(index as usize) })
}

/// The state word of a slot.
///
/// # Safety
/// `slot` came from [`slot`].
pub unsafe fn state_of<'a>(slot: *mut ThreadSlot) -> &'a AtomicU32 {
    // SAFETY: the slot is mapped for ever, its state is aligned and only touched through this atomic (and
    // by hotfork_park's one store).
    unsafe { AtomicU32::from_ptr(&raw mut (*slot).state) }
}
