//! What a template says about itself, read out of its memory.

use super::template::{Template, TemplateError};
use super::{arenas, dead_code, dead_heap, dead_stacks};
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
    pub fn heap(&self) -> Option<Range<u64>> {
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
        let gather = |addresses: &[u64], length| template.gather(addresses, length);
        or_nothing("the bounds of the heap", dead_heap::find(&self.record.heap, &heap, gather))
    }

    /// Pages of free blocks of compiled code.
    pub fn dead_code(&self, template: &Template) -> Result<Vec<Range<u64>>, TemplateError> {
        let gather = |addresses: &[u64], length| template.gather(addresses, length);
        let (code, collecting) = (&self.record.code, self.record.heap.collecting);
        or_nothing("the code cache", dead_code::find(code, collecting, gather))
    }

    /// Pages below the stack pointers.
    pub fn dead_stacks(
        &self,
        template: &Template,
        mappings: &[DetailedMapping],
    ) -> Result<Vec<Range<u64>>, TemplateError> {
        let gather = |addresses: &[u64], length| template.gather(addresses, length);
        or_nothing("the bounds of stacks", dead_stacks::find(&self.slots, self.record.stack_block, mappings, gather))
    }

    /// Pages of the arenas that malloc has not given to anybody.
    pub fn dead_malloc(&self, heaps: &[Range<u64>], template: &Template) -> Result<Vec<Range<u64>>, TemplateError> {
        or_nothing("malloc's arenas", arenas::unused(heaps, |addresses, length| template.gather(addresses, length)))
    }
}

/// Where memory is not as expected, nothing is left out for it.
fn or_nothing(what: &str, found: Result<Vec<Range<u64>>, TemplateError>) -> Result<Vec<Range<u64>>, TemplateError> {
    match found {
        Err(error) if error.errno() == Some(libc::EFAULT) => {
            log::warn!("{what} cannot be read ({error}): nothing is left out there");
            Ok(Vec::new())
        }
        found => found,
    }
}

/// A C string in the template's memory.
pub fn c_string(template: &Template, address: u64, capacity: u64) -> Result<Vec<u8>, TemplateError> {
    let mut text = template.read(address, capacity)?;
    let end = text.iter().position(|&byte| byte == 0).unwrap_or(text.len());
    text.truncate(end);
    Ok(text)
}
