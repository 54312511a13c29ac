//! Pages that an instance writes whatever it does: what its threads write on their way back. An image without a trial
//! has them brought in ahead; a trial finds these and more.

use hotfork_abi::PAGE;
use hotfork_abi::record::{CaptureRecord, STATE_PARKED, ThreadSlot};
use std::ops::Range;

/// glibc's `struct rseq`, as it registers it.
const RSEQ_LENGTH: u64 = 32;
/// What a thread uses at least of the stack on which it comes back.
const REVIVAL: u64 = 128;

/// ... of the stack on which the instance begins, and of the capturer's own, in which it is renewed.
const ENTRY: u64 = 256;
const RENEWAL: u64 = 2 * PAGE;

/// Ascending.
pub fn of_threads(record: &CaptureRecord, slots: &[ThreadSlot]) -> Vec<Range<u64>> {
    let slot_array = record.slots..record.slots + size_of_val(slots) as u64;
    let entry = record.entry_stack.saturating_sub(ENTRY)..record.entry_stack;
    let mut written = vec![slot_array, entry];
    written.extend(record.written.iter().filter(|&&word| word != 0).map(|&word| word..word + 8));
    for slot in slots.iter().filter(|slot| slot.state == STATE_PARKED) {
        // The kernel writes the tid, and at each switch to the thread the area of rseq(2).
        written.push(slot.clear_tid..slot.clear_tid + 4);
        if record.rseq_size > 0 {
            let area = slot.fs_base.wrapping_add_signed(record.rseq_offset);
            written.push(area..area + RSEQ_LENGTH);
        }
        if slot.os_thread_id != 0 {
            written.push(slot.os_thread_id..slot.os_thread_id + 4);
        }
        if slot.stack != 0 {
            written.push(slot.stack.saturating_sub(REVIVAL)..slot.stack);
        }
        match slot.edited[0] {
            0 => {}
            deadline => written.push(deadline..deadline + 16),
        }
        if slot.ucontext == 0 {
            // The capturer renews the instance.
            written.push(slot.registers.rsp.saturating_sub(RENEWAL)..slot.registers.rsp);
        }
    }
    let mut pages: Vec<_> =
        written.iter().map(|bytes| bytes.start & !(PAGE - 1)..bytes.end.next_multiple_of(PAGE)).collect();
    pages.sort_unstable_by_key(|range| range.start);
    crate::restore::merged(pages)
}

/// No more than `of_threads` gives for so many threads, whose slots take less than a page each.
pub const fn at_most(threads: usize) -> u64 {
    8 * threads as u64 + 16
}

#[cfg(test)]
mod tests {
    use super::*;
    use hotfork_abi::Plain;

    #[test]
    fn pages_of_threads_are_named_once_each() {
        let mut record = CaptureRecord::zeroed();
        (record.slots, record.rseq_offset, record.rseq_size) = (0x10_0000, -0x60, 32);
        (record.entry_stack, record.written) = (0x9000_1000, [0x9000_0100, 0, 0x9000_4000, 0]);
        let slot = |number: u64, state| ThreadSlot {
            state,
            fs_base: 0x20_0040 + number * 0x10_0000,
            clear_tid: 0x20_0310 + number * 0x10_0000,
            os_thread_id: 0x7000_0ffc,
            stack: 0x11_0200 + number * 0x200,
            ucontext: 1,
            edited: [0x8000_0ff8, 0, 0],
            ..ThreadSlot::zeroed()
        };
        let mut slots = [slot(0, STATE_PARKED), slot(1, STATE_PARKED), slot(5, 0)];
        (slots[0].ucontext, slots[0].stack, slots[0].edited[0]) = (0, 0, 0);
        slots[0].registers.rsp = 0x6000_3010;
        let pages = of_threads(&record, &slots);
        let expected = [
            0x10_0000..0x10_1000,
            0x11_0000..0x11_1000,
            // The area of rseq lies below, on the page before.
            0x1f_f000..0x20_1000,
            0x2f_f000..0x30_1000,
            0x6000_1000..0x6000_4000,
            0x7000_0000..0x7000_1000,
            0x8000_0000..0x8000_2000,
            0x9000_0000..0x9000_1000,
            0x9000_4000..0x9000_5000,
        ];
        assert_eq!(pages, expected);
        let count: u64 = pages.iter().map(|range| (range.end - range.start) / PAGE).sum();
        assert!(count <= at_most(slots.len()));
    }
}
