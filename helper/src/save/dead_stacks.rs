//! Dead stack: what lies below a thread's stack pointer, in the stack that glibc (for the first thread: the kernel) gave it.
//! A thread goes on in its signal handler (in an instance: at the handler's end), so its calls' frames lie above, and whatever comes below is
//! written before it is read: a signal may overwrite it at any time.
//!
//! Stacks lie side by side, often in one mapping with other memory. So it is a stack's own bounds that count; a thread whose
//! stack is not as expected keeps all of it.

use crate::proc::smaps::DetailedMapping;
use hotfork_abi::PAGE;
use hotfork_abi::record::{FLAG_LEADER, STATE_PARKED, ThreadSlot};
use std::ops::Range;

const WORD: u64 = 8;
/// What a thread may use below its stack pointer (System V ABI: 128 bytes), and a page to be safe.
const MARGIN: u64 = 128 + PAGE;

/// Whole pages of dead stack, ascending. `gather` reads so many bytes at each of the addresses; `block` is the record's
/// `stack_block`.
pub fn find<E>(
    slots: &[ThreadSlot],
    block: u64,
    mappings: &[DetailedMapping],
    gather: impl Fn(&[u64], u64) -> Result<Vec<u8>, E>,
) -> Result<Vec<Range<u64>>, E> {
    if block == 0 {
        log::info!("where glibc keeps the bounds of stacks was not found: dead stack is not left out");
        return Ok(Vec::new());
    }
    let parked: Vec<&ThreadSlot> = slots.iter().filter(|slot| slot.state == STATE_PARKED).collect();
    let addresses: Vec<u64> = parked.iter().map(|slot| slot.fs_base.wrapping_add(block)).collect();
    let bounds: Vec<u64> = crate::proc::auxv::words(&gather(&addresses, 3 * WORD)?).collect();
    let mut dead: Vec<Range<u64>> = parked
        .iter()
        .zip(bounds.chunks_exact(3))
        .filter_map(|(slot, bounds)| below(slot, &stack(slot, bounds, mappings)?, mappings))
        .filter(|range| parked.iter().all(|slot| !is_used(slot, range)))
        .collect();
    dead.sort_unstable_by_key(|range| range.start);
    if dead.windows(2).any(|two| two[0].end > two[1].start) {
        log::warn!("stacks of this JVM overlap: dead stack is not left out");
        dead.clear();
    }
    Ok(dead)
}

/// The memory that is the thread's stack and nothing else, without the guard. `bounds`: lowest address, length, guard.
fn stack(slot: &ThreadSlot, bounds: &[u64], mappings: &[DetailedMapping]) -> Option<Range<u64>> {
    let [low, length, guard] = bounds[..] else { return None };
    if low == 0 {
        // The first thread's stack is the kernel's, its descriptor lies elsewhere.
        let of_kernel = |one: &&DetailedMapping| {
            one.flags.grows_down && one.mapping.name == b"[stack]" && one.mapping.range().contains(&slot.registers.rsp)
        };
        let first = slot.flags & FLAG_LEADER != 0;
        return mappings.iter().find(of_kernel).filter(|_| first).map(|one| one.mapping.range());
    }
    let stack = low.checked_add(guard)?..low.checked_add(length)?;
    stack.contains(&slot.fs_base).then_some(stack)
}

/// Pages of the stack below its thread's frames, if these are where they should be.
fn below(slot: &ThreadSlot, stack: &Range<u64>, mappings: &[DetailedMapping]) -> Option<Range<u64>> {
    let pointer = slot.registers.rsp;
    // The capturer has no signal frame.
    let frame = [slot.ucontext, slot.interrupted];
    let frames = frame == [0, 0] || (pointer <= frame[0] && frame[0] < frame[1] && stack.contains(&frame[1]));
    // On an alternate stack inside of this one the thread would stand above frames that it returns to.
    if !frames || !stack.contains(&pointer) || overlaps(&alternate(slot), stack) {
        return None;
    }
    let start = lowest(mappings, pointer)?.max(stack.start).next_multiple_of(PAGE);
    let end = pointer.checked_sub(MARGIN)? / PAGE * PAGE;
    (start < end).then_some(start..end)
}

/// How far private writable memory reaches below an address.
fn lowest(mappings: &[DetailedMapping], address: u64) -> Option<u64> {
    let next = mappings.partition_point(|one| one.mapping.end <= address);
    let mut lowest = None;
    for one in mappings.get(..=next)?.iter().rev().map(|one| &one.mapping) {
        let adjoins = lowest.map_or(one.start <= address, |lowest| one.end == lowest);
        if !adjoins || one.shared || !one.write {
            break;
        }
        lowest = Some(one.start);
    }
    lowest
}

/// Whether a thread has anything there that it will read.
fn is_used(slot: &ThreadSlot, range: &Range<u64>) -> bool {
    let places = [slot.registers.rsp, slot.ucontext, slot.interrupted, slot.fs_base];
    places.iter().any(|place| range.contains(place)) || overlaps(&alternate(slot), range)
}

fn alternate(slot: &ThreadSlot) -> Range<u64> {
    let [address, length] = slot.alternate_stack;
    address..address.saturating_add(length)
}

fn overlaps(one: &Range<u64>, other: &Range<u64>) -> bool {
    !one.is_empty() && one.start < other.end && other.start < one.end
}

#[cfg(test)]
#[path = "dead_stacks_tests.rs"]
mod tests;
