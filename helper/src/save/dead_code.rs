//! Free blocks of the code cache. Behind a free block's header (`FreeBlock`: length, whether it is used, the next free one) lies what was code
//! once; HotSpot writes whatever it puts there next before anybody reads it.
//!
//! Blocks are cut, joined and given out by threads in the VM, under a lock, and freed in stop-the-world collections. So nothing is left
//! out when a thread is there, or a collection under way, nor where blocks do not follow each other as they should.

use super::dead_heap::words;
use hotfork_abi::PAGE;
use hotfork_abi::record::CodeLayout;
use std::ops::Range;

const WORD: u64 = 8;
/// `_thread_in_vm` and `_thread_in_vm_trans` of HotSpot's `JavaThreadState`.
const IN_VM: [u32; 2] = [6, 7];
/// Longer than a free block's header.
const HEADER: u64 = 64;
/// A segment where a block begins is 0 in the segment map; one of no block 0xff.
const BEGINS: u8 = 0;
const OF_NO_BLOCK: u8 = 0xff;
const THREADS_AT_MOST: u32 = 1 << 20;
/// 2 GB, the longest code cache, in segments of 64 bytes.
const SEGMENTS_AT_MOST: u64 = 1 << 25;

/// Whole pages of free blocks, ascending. `gather` reads so many bytes at each of the addresses; at `collecting` lies a byte that is 0 where
/// no collection is under way.
pub fn find<E>(
    layout: &CodeLayout,
    collecting: u64,
    gather: impl Fn(&[u64], u64) -> Result<Vec<u8>, E>,
) -> Result<Vec<Range<u64>>, E> {
    if layout.heap_count == 0 || collecting == 0 || gather(&[collecting], 1)? != [0] {
        return Ok(Vec::new());
    }
    if somebody_is_in_the_vm(layout, &gather)? {
        log::info!("a thread was in the VM: free code is not left out");
        return Ok(Vec::new());
    }
    let mut dead = Vec::new();
    for &heap in layout.heaps.iter().take(layout.heap_count as usize) {
        let blocks = match CodeHeap::read(layout, heap, &gather)? {
            Some(heap) => heap.free_blocks(layout, &gather)?,
            None => None,
        };
        match blocks {
            Some(blocks) => dead.extend(blocks.into_iter().filter_map(pages)),
            None => log::warn!("blocks of code do not follow each other: free code is not left out"),
        }
    }
    dead.sort_unstable_by_key(|range| range.start);
    Ok(dead)
}

fn somebody_is_in_the_vm<E>(
    layout: &CodeLayout,
    gather: &impl Fn(&[u64], u64) -> Result<Vec<u8>, E>,
) -> Result<bool, E> {
    let [list] = words(&gather(&[layout.threads], WORD)?)[..] else { return Ok(true) };
    let [count] = halves(&gather(&[list + layout.thread_count], 4)?)[..] else { return Ok(true) };
    let [array] = words(&gather(&[list + layout.thread_array], WORD)?)[..] else { return Ok(true) };
    if count == 0 || count > THREADS_AT_MOST {
        return Ok(true);
    }
    let threads = words(&gather(&[array], u64::from(count) * WORD)?);
    let states: Vec<u64> = threads.iter().map(|thread| thread + layout.thread_state).collect();
    Ok(halves(&gather(&states, 4)?).iter().any(|state| IN_VM.contains(state)))
}

/// What of a code heap is in use or free.
struct CodeHeap {
    low: u64,
    log2_segment: u32,
    /// A byte for each segment, up to the last block's last.
    map: Vec<u8>,
}

impl CodeHeap {
    /// `None` where it is not as expected.
    fn read<E>(
        layout: &CodeLayout,
        heap: u64,
        gather: &impl Fn(&[u64], u64) -> Result<Vec<u8>, E>,
    ) -> Result<Option<Self>, E> {
        let fields = words(&gather(&[heap + layout.low, heap + layout.high, heap + layout.segment_map], WORD)?);
        let [low, high, map] = fields[..] else { return Ok(None) };
        let [log2_segment] = halves(&gather(&[heap + layout.log2_segment], 4)?)[..] else { return Ok(None) };
        if low >= high || !(6..=12).contains(&log2_segment) || (high - low) >> log2_segment > SEGMENTS_AT_MOST {
            return Ok(None);
        }
        let mut map = gather(&[map], (high - low) >> log2_segment)?;
        let end = map.iter().rposition(|&segment| segment != OF_NO_BLOCK).map_or(0, |last| last + 1);
        map.truncate(end);
        Ok(Some(Self { low, log2_segment, map }))
    }

    fn address(&self, segment: u64) -> u64 {
        self.low + (segment << self.log2_segment)
    }

    /// `None` where blocks do not follow each other.
    fn free_blocks<E>(
        &self,
        layout: &CodeLayout,
        gather: &impl Fn(&[u64], u64) -> Result<Vec<u8>, E>,
    ) -> Result<Option<Vec<Range<u64>>>, E> {
        let segments = self.map.iter().zip(0..);
        let begins: Vec<u64> = segments.filter(|(what, _)| **what == BEGINS).map(|(_, segment)| segment).collect();
        let headers: Vec<u64> = begins.iter().map(|&segment| self.address(segment)).collect();
        // In one go: there are some twenty thousand.
        let read = layout.used.max(layout.length + layout.length_size - 1) + 1;
        let headers = gather(&headers, read)?;
        let mut free = Vec::new();
        let mut next = 0;
        for (&begin, header) in begins.iter().zip(headers.chunks_exact(read as usize)) {
            let (Some(length), Some(used)) = (length(layout, header), used(layout, header)) else { return Ok(None) };
            if begin != next || length == 0 {
                return Ok(None);
            }
            next = begin.saturating_add(length);
            if !used {
                free.push(begin..next);
            }
        }
        if next != self.map.len() as u64 {
            return Ok(None);
        }
        Ok(Some(free.into_iter().map(|block| self.address(block.start)..self.address(block.end)).collect()))
    }
}

/// Those that hold nothing but dead code.
fn pages(block: Range<u64>) -> Option<Range<u64>> {
    let pages = (block.start + HEADER).next_multiple_of(PAGE)..block.end / PAGE * PAGE;
    (pages.start < pages.end).then_some(pages)
}

fn halves(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks_exact(4).filter_map(|half| Some(u32::from_ne_bytes(half.try_into().ok()?))).collect()
}

fn length(layout: &CodeLayout, header: &[u8]) -> Option<u64> {
    let bytes = header.get(layout.length as usize..)?.get(..layout.length_size as usize)?;
    match bytes.len() {
        8 => words(bytes).pop(),
        _ => halves(bytes).pop().map(u64::from),
    }
}

fn used(layout: &CodeLayout, header: &[u8]) -> Option<bool> {
    header.get(layout.used as usize).map(|&used| used != 0)
}

#[cfg(test)]
#[path = "dead_code_tests.rs"]
mod tests;
