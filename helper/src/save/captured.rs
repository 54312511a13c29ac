//! What a template says about itself, read out of its memory.

use super::template::{Template, TemplateError};
use super::{dead_heap, dead_stacks};
use crate::proc::smaps::DetailedMapping;
use hotfork_abi::Plain;
use hotfork_abi::record::{CaptureRecord, KnownRange, MAGIC, RANGE_JAVA_HEAP, RANGES, ThreadSlot};
use std::ops::Range;

/// More threads than any JVM has; a count above it is a sign of another record.
const MAX_THREADS: u64 = 1 << 20;

#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error("the template's record at {address:#x} is none of this version: restart the JVM")]
    Foreign { address: u64 },
}

pub struct Captured {
    pub record: Box<CaptureRecord>,
    pub slots: Vec<ThreadSlot>,
}

impl Captured {
    pub fn read(template: &Template) -> Result<Self, RecordError> {
        let address = template.up.record;
        let foreign = RecordError::Foreign { address };
        if template.up.record_size != size_of::<CaptureRecord>() as u64 {
            return Err(foreign);
        }
        let bytes = template.read(address, template.up.record_size)?;
        let record = match CaptureRecord::read(&bytes) {
            Some(record) if record.magic == MAGIC && record.range_count <= RANGES as u64 => Box::new(record),
            _ => return Err(foreign),
        };
        if record.slot_count == 0 || record.slot_count > MAX_THREADS || record.leader >= record.slot_count {
            return Err(foreign);
        }
        let size = size_of::<ThreadSlot>();
        let bytes = template.read(record.slots, record.slot_count * size as u64)?;
        let slots = bytes.chunks_exact(size).filter_map(ThreadSlot::read).collect();
        Ok(Self { record, slots })
    }

    pub fn known(&self) -> &[KnownRange] {
        &self.record.ranges[..self.record.range_count as usize]
    }

    pub fn stack_pointers(&self) -> Vec<u64> {
        self.slots.iter().map(|slot| slot.registers.rsp).collect()
    }

    /// The Java heap, which is reserved as a whole.
    fn heap(&self) -> Option<Range<u64>> {
        let heap = self.known().iter().find(|range| range.kind == RANGE_JAVA_HEAP)?;
        Some(heap.address..heap.address + heap.length)
    }

    /// -Xmx
    pub fn max_heap(&self) -> u64 {
        self.heap().map_or(0, |heap| heap.end - heap.start)
    }

    /// Pages of free Java heap.
    pub fn dead_heap(&self, template: &Template) -> Result<Vec<Range<u64>>, TemplateError> {
        let Some(heap) = self.heap() else { return Ok(Vec::new()) };
        match dead_heap::find(&self.record.heap, &heap, |addresses, length| template.gather(addresses, length)) {
            Err(error) if error.errno() == Some(libc::EFAULT) => {
                log::warn!("the bounds of the heap cannot be read ({error}): free heap is not left out");
                Ok(Vec::new())
            }
            found => found,
        }
    }

    /// Pages below the stack pointers.
    pub fn dead_stacks(
        &self,
        template: &Template,
        mappings: &[DetailedMapping],
    ) -> Result<Vec<Range<u64>>, TemplateError> {
        let gather = |addresses: &[u64], length| template.gather(addresses, length);
        match dead_stacks::find(&self.slots, self.record.stack_block, mappings, gather) {
            Err(error) if error.errno() == Some(libc::EFAULT) => {
                log::warn!("the bounds of stacks cannot be read ({error}): dead stack is not left out");
                Ok(Vec::new())
            }
            found => found,
        }
    }
}

/// A C string in the template's memory.
pub fn c_string(template: &Template, address: u64, capacity: u64) -> Result<Vec<u8>, TemplateError> {
    let mut text = template.read(address, capacity)?;
    let end = text.iter().position(|&byte| byte == 0).unwrap_or(text.len());
    text.truncate(end);
    Ok(text)
}

const ARENA_HEAP: u64 = 64 << 20;

/// glibc's non-main arenas: heaps of 64 MB at 64 MB boundaries, each of which begins with a pointer to its arena, which lies
/// at the start of such a heap too.
pub fn arenas(mappings: &[Range<u64>], template: &Template) -> Result<Vec<Range<u64>>, TemplateError> {
    let candidates = candidates(mappings);
    let mut found = Vec::new();
    for candidate in &candidates {
        let pointer = match template.read(candidate.start, 8) {
            Ok(bytes) => crate::proc::auxv::words(&bytes).next().unwrap_or(0),
            // Reserved memory that nobody may read: no arena.
            Err(error) if error.errno() == Some(libc::EFAULT) => continue,
            Err(error) => return Err(error),
        };
        if points_to_arena(pointer, &candidates) {
            found.push(candidate.clone());
        }
    }
    Ok(found)
}

/// Mappings without a gap (used memory, then PROT_NONE) that fill a heap's place.
fn candidates(mappings: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut candidates = Vec::new();
    let mut place: Option<Range<u64>> = None;
    for mapping in mappings {
        place = match place {
            Some(range) if range.end == mapping.start => Some(range.start..mapping.end),
            _ if mapping.start % ARENA_HEAP == 0 => Some(mapping.clone()),
            _ => None,
        };
        if let Some(range) = place.clone().filter(|range| range.end >= range.start + ARENA_HEAP) {
            candidates.push(range.start..range.start + ARENA_HEAP);
            // A neighbour may begin inside this very mapping.
            place = (range.end > range.start + ARENA_HEAP).then_some(range.start + ARENA_HEAP..range.end);
        }
    }
    candidates
}

/// `heap_info.ar_ptr` points right behind a `heap_info`.
fn points_to_arena(pointer: u64, candidates: &[Range<u64>]) -> bool {
    let home = pointer - pointer % ARENA_HEAP;
    pointer != home && pointer - home < 256 && candidates.iter().any(|heap| heap.start == home)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: u64 = 0x7f00_0000_0000;

    #[test]
    fn heaps_fill_their_places() {
        let one = [A..A + 0x21000, A + 0x21000..A + ARENA_HEAP];
        assert_eq!(candidates(&one), [A..A + ARENA_HEAP]);
        let two = [A..A + 0x21000, A + 0x21000..A + ARENA_HEAP + 0x1000, A + ARENA_HEAP + 0x1000..A + 2 * ARENA_HEAP];
        assert_eq!(candidates(&two), [A..A + ARENA_HEAP, A + ARENA_HEAP..A + 2 * ARENA_HEAP]);
    }

    #[test]
    fn others_do_not() {
        assert_eq!(candidates(&[A + 0x1000..A + ARENA_HEAP + 0x1000]), []);
        assert_eq!(candidates(&[A..A + 0x21000, A + 0x22000..A + ARENA_HEAP]), []);
    }

    #[test]
    fn a_heap_knows_its_arena() {
        let heaps = [A..A + ARENA_HEAP];
        assert!(points_to_arena(A + 0x30, &heaps));
        assert!(!points_to_arena(A, &heaps));
        assert!(!points_to_arena(A + 0x1000, &heaps));
        assert!(!points_to_arena(A + ARENA_HEAP + 0x30, &heaps));
        assert!(!points_to_arena(0, &heaps));
    }
}
