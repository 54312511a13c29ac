//! Where application threads were when their CPU timers went off: instruction pointers in a ring that the agent's
//! thread empties. Nobody is frozen then, but the handler interrupts a thread that may hold any lock.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};

/// What some twenty busy threads leave in a tick of a quarter of a second.
pub const CAPACITY: u32 = 1024;

static RING: [AtomicU64; CAPACITY as usize] = [const { AtomicU64::new(0) }; CAPACITY as usize];
static WRITTEN: AtomicU32 = AtomicU32::new(0);

pub(crate) fn add(instruction: u64) {
    let index = WRITTEN.fetch_add(1, SeqCst) % CAPACITY;
    if let Some(place) = RING.get(index as usize) {
        place.store(instruction, Relaxed);
    }
}

/// How many were added so far, modulo 2^32.
pub fn written() -> u32 {
    WRITTEN.load(SeqCst)
}

/// The sample of this number; a newer one where the ring has gone round.
pub fn sample(number: u32) -> u64 {
    RING.get((number % CAPACITY) as usize).map_or(0, |place| place.load(Relaxed))
}
