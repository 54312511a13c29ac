//! glibc's malloc beside its main arena: heaps of 64 MB at 64 MB boundaries, each of which begins with a `heap_info`, whose first
//! word points to the arena; that one lies right behind the `heap_info` of the arena's first heap.
//!
//! The end of an arena's last heap is its top chunk, which nobody has asked for yet. `malloc_trim` gives back free chunks and the
//! top of the main arena, but not these tops (glibc 2.31 to 2.41): after the JIT's work they can be tens of megabytes.

use super::dead_heap::words;
use super::template::{Template, TemplateError};
use hotfork_abi::PAGE;
use std::ops::Range;

const HEAP: u64 = 64 << 20;
const WORD: u64 = 8;
/// `heap_info`: arena, previous heap, bytes in use, bytes that may be accessed.
const HEAP_INFO: u64 = 4 * WORD;
/// A `malloc_state` begins with a lock, flags, ten fast bins, and its top.
const STATE: u64 = 16 * WORD;
/// A chunk begins with the size of the chunk before and its own, whose lowest bits are flags.
const CHUNK_HEADER: u64 = 2 * WORD;
const PREVIOUS_IN_USE: u64 = 1;
const FLAGS: u64 = 7;

/// Where such heaps lie.
pub fn find(mappings: &[Range<u64>], template: &Template) -> Result<Vec<Range<u64>>, TemplateError> {
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
            _ if mapping.start % HEAP == 0 => Some(mapping.clone()),
            _ => None,
        };
        if let Some(range) = place.clone().filter(|range| range.end >= range.start + HEAP) {
            candidates.push(range.start..range.start + HEAP);
            // A neighbour may begin inside this very mapping.
            place = (range.end > range.start + HEAP).then_some(range.start + HEAP..range.end);
        }
    }
    candidates
}

/// `heap_info.ar_ptr` points right behind a `heap_info`.
fn points_to_arena(pointer: u64, candidates: &[Range<u64>]) -> bool {
    let home = pointer - pointer % HEAP;
    pointer != home && pointer - home < 256 && candidates.iter().any(|heap| heap.start == home)
}

/// Whole pages of top chunks behind their headers, ascending. `gather` reads so many bytes at each of the addresses.
///
/// A thread may be frozen while it cuts from the top or adds to it. What lies behind a top chunk that ends where its heap ends is
/// nobody's at every step of that (sysmalloc, _int_malloc, _int_free); else nothing is left out.
pub fn unused<E>(
    heaps: &[Range<u64>],
    gather: impl Fn(&[u64], u64) -> Result<Vec<u8>, E>,
) -> Result<Vec<Range<u64>>, E> {
    let starts: Vec<u64> = heaps.iter().map(|heap| heap.start).collect();
    let infos = words(&gather(&starts, HEAP_INFO)?);
    let arenas: Vec<u64> = infos.chunks_exact(4).map(|info| info[0]).collect();
    let states = words(&gather(&arenas, STATE)?);
    let mut chunks = Vec::new();
    for ((start, info), state) in starts.iter().zip(infos.chunks_exact(4)).zip(states.chunks_exact(16)) {
        let [_, _, used, accessible] = info[..] else { continue };
        if used % PAGE != 0 || used > accessible || accessible > HEAP {
            continue;
        }
        let end = start + used;
        let inside = |pointer: &&u64| (start + HEAP_INFO..end - CHUNK_HEADER).contains(*pointer) && *pointer % 16 == 0;
        chunks.extend(state.iter().filter(inside).map(|&chunk| (chunk, end)));
    }
    chunks.sort_unstable();
    chunks.dedup();
    let addresses: Vec<u64> = chunks.iter().map(|(chunk, _)| *chunk).collect();
    let headers = words(&gather(&addresses, CHUNK_HEADER)?);
    let tops = chunks.iter().zip(headers.chunks_exact(2)).filter(|((chunk, end), header)| {
        header[1] & FLAGS == PREVIOUS_IN_USE && chunk.checked_add(header[1] & !FLAGS) == Some(*end)
    });
    let pages = tops.map(|((chunk, end), _)| (chunk + CHUNK_HEADER).next_multiple_of(PAGE)..*end);
    Ok(pages.filter(|range| !range.is_empty()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: u64 = 0x7f00_0000_0000;

    #[test]
    fn heaps_fill_their_places() {
        let one = [A..A + 0x21000, A + 0x21000..A + HEAP];
        assert_eq!(candidates(&one), [A..A + HEAP]);
        let two = [A..A + 0x21000, A + 0x21000..A + HEAP + 0x1000, A + HEAP + 0x1000..A + 2 * HEAP];
        assert_eq!(candidates(&two), [A..A + HEAP, A + HEAP..A + 2 * HEAP]);
    }

    #[test]
    fn others_do_not() {
        assert_eq!(candidates(&[A + 0x1000..A + HEAP + 0x1000]), []);
        assert_eq!(candidates(&[A..A + 0x21000, A + 0x22000..A + HEAP]), []);
    }

    #[test]
    fn a_heap_knows_its_arena() {
        let heaps = [A..A + HEAP];
        assert!(points_to_arena(A + 0x30, &heaps));
        assert!(!points_to_arena(A, &heaps));
        assert!(!points_to_arena(A + 0x1000, &heaps));
        assert!(!points_to_arena(A + HEAP + 0x30, &heaps));
        assert!(!points_to_arena(0, &heaps));
    }

    /// A heap's `heap_info`, an arena behind it, and the headers of chunks.
    struct Memory(std::collections::BTreeMap<u64, u64>);

    impl Memory {
        /// An arena at `home` whose top, of `size` bytes, lies in the heap at `heap` with `used` bytes.
        fn new(home: u64, heap: u64, used: u64, top: u64, size: u64) -> Self {
            let mut words = std::collections::BTreeMap::new();
            let arena = home + 0x30;
            for (at, used) in [(home, 0x8000), (heap, used)] {
                words.extend([(at, arena), (at + 16, used), (at + 24, used)]);
            }
            // A fast chunk, the top, the rest of a chunk that was cut last.
            words.extend([(arena + 16, heap + 0x1000), (arena + 96, top), (arena + 104, top - 0x100)]);
            words.extend([(heap + 0x1008, 0x41), (top - 0xf8, 0x91), (top + 8, size | PREVIOUS_IN_USE)]);
            Self(words)
        }

        fn unused(&self, heaps: &[Range<u64>]) -> Vec<Range<u64>> {
            let gather = |addresses: &[u64], length: u64| {
                let words = addresses.iter().flat_map(|address| (*address..address + length).step_by(8));
                let bytes = words.flat_map(|at| self.0.get(&at).copied().unwrap_or(0).to_le_bytes());
                Ok::<_, std::convert::Infallible>(bytes.collect())
            };
            let Ok(found) = unused(heaps, gather);
            found
        }
    }

    #[test]
    fn pages_behind_the_header_of_a_top_chunk() {
        let heaps = [A..A + HEAP];
        let found = |top, size| Memory::new(A, A, 0x8000, top, size).unused(&heaps);
        assert_eq!(found(A + 0x5010, 0x2ff0), [A + 0x6000..A + 0x8000]);
        assert_eq!(found(A + 0x4ff0, 0x3010), [A + 0x5000..A + 0x8000], "the header ends with its page");
        assert_eq!(found(A + 0x5000, 0x3000), [A + 0x6000..A + 0x8000]);
        assert_eq!(found(A + 0x7fe0, 0x20), []);
    }

    #[test]
    fn the_top_lies_in_the_last_heap() {
        let heaps = [A..A + HEAP, A + HEAP..A + 2 * HEAP];
        let memory = Memory::new(A, A + HEAP, 0x10_0000, A + HEAP + 0x2000, 0xf_e000);
        assert_eq!(memory.unused(&heaps), [A + HEAP + 0x3000..A + HEAP + 0x10_0000]);
    }

    #[test]
    fn a_chunk_that_does_not_end_with_its_heap_is_no_top() {
        let heaps = [A..A + HEAP];
        let found = |used, top, size| Memory::new(A, A, used, top, size).unused(&heaps);
        assert_eq!(found(0x8000, A + 0x5000, 0x2000), [], "being cut");
        assert_eq!(found(0x8000, A + 0x5000, 0x4000), [], "the heap is being shrunk");
        assert_eq!(found(0x8000, A + 0x5000, 0x3000 | 4), [], "flags that a top does not have");
        assert_eq!(found(0x8000, A + 0x5008, 0x2ff8), [], "not where chunks begin");
        assert_eq!(found(0x8010, A + 0x5000, 0x3010), [], "heaps have whole pages");
        assert_eq!(found(2 * HEAP, A + 0x5000, 2 * HEAP - 0x5000), [], "a heap longer than heaps are");
        assert_eq!(found(0x8000, A + HEAP + 0x5000, 0x3000), [], "elsewhere");
        assert_eq!(found(0, A + 0x5000, 0x3000), [], "an empty heap");
    }
}
