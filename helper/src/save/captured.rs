//! What a template says about itself, read out of its memory.

use super::template::{Template, TemplateError};
use hotfork_abi::Plain;
use hotfork_abi::record::{CaptureRecord, KnownRange, MAGIC, RANGES, ThreadSlot};
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

    /// -Xmx: the heap is reserved as a whole.
    pub fn max_heap(&self) -> u64 {
        let heap = self.known().iter().filter(|range| range.kind == hotfork_abi::record::RANGE_JAVA_HEAP);
        heap.map(|range| range.length).sum()
    }
}

/// A C string in the template's memory.
pub fn c_string(template: &Template, address: u64, capacity: u64) -> Result<Vec<u8>, TemplateError> {
    let mut text = template.read(address, capacity)?;
    let end = text.iter().position(|&byte| byte == 0).unwrap_or(text.len());
    text.truncate(end);
    Ok(text)
}

/// glibc's non-main arenas: 64 MB heaps at 64 MB boundaries, used up to some point and PROT_NONE behind it, each of which
/// begins with a pointer to its arena, which lies at the start of such a heap too.
pub fn arenas(mappings: &[Range<u64>], template: &Template) -> Result<Vec<Range<u64>>, TemplateError> {
    const HEAP: u64 = 64 << 20;
    let mut found = Vec::new();
    let mut covered: Option<Range<u64>> = None;
    let mut candidates = Vec::new();
    for mapping in mappings {
        covered = match covered {
            Some(range) if range.end == mapping.start => Some(range.start..mapping.end),
            _ => None,
        };
        if covered.is_none() && mapping.start % HEAP == 0 {
            covered = Some(mapping.clone());
        }
        if let Some(range) = covered.clone().filter(|range| range.end >= range.start + HEAP) {
            candidates.push(range.start..range.start + HEAP);
            covered = None;
        }
    }
    for candidate in &candidates {
        let pointer = match template.read(candidate.start, 8) {
            Ok(bytes) => crate::proc::auxv::words(&bytes).next().unwrap_or(0),
            // Reserved memory that nobody may read: no arena.
            Err(error) if error.errno() == Some(libc::EFAULT) => continue,
            Err(error) => return Err(error),
        };
        let home = pointer - pointer % HEAP;
        if pointer != home && pointer - home < 256 && candidates.iter().any(|heap| heap.start == home) {
            found.push(candidate.clone());
        }
    }
    Ok(found)
}
