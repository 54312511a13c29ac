use super::*;
use hotfork_abi::Plain;
use std::collections::BTreeMap;
use std::convert::Infallible;

const HEAP: u64 = 0x100;
const LOW: u64 = 0x10_0000;
const LOG2: u32 = 7;
const COLLECTING: u64 = 0x10;
const MAP: u64 = 0x8000;
const LIST: u64 = 0x200;
const ARRAY: u64 = 0x300;
const THREAD: u64 = 0x400;
const PAGE_SEGMENTS: u64 = PAGE >> LOG2;

fn layout() -> CodeLayout {
    CodeLayout {
        heaps: [HEAP, 0, 0, 0],
        heap_count: 1,
        low: 0,
        high: 8,
        segment_map: 16,
        log2_segment: 24,
        length: 0,
        length_size: 4,
        used: 8,
        threads: 0x20,
        thread_count: 0,
        thread_array: 8,
        thread_state: 4,
        ..CodeLayout::zeroed()
    }
}

/// Bytes of a JVM's memory; what was not written is 0.
struct Memory(BTreeMap<u64, u8>);

impl Memory {
    /// One code heap of blocks with these lengths in segments, used ones and free ones, and as much again that no block has; a Java thread
    /// in native code.
    fn new(blocks: &[(u64, bool)]) -> Self {
        let mut memory = Self(BTreeMap::new());
        let segments: u64 = blocks.iter().map(|block| block.0).sum();
        memory.put(HEAP, &LOW.to_ne_bytes());
        memory.put(HEAP + 8, &(LOW + (2 * segments << LOG2)).to_ne_bytes());
        memory.put(HEAP + 16, &MAP.to_ne_bytes());
        memory.put(HEAP + 24, &LOG2.to_ne_bytes());
        memory.put(MAP + segments, &vec![OF_NO_BLOCK; segments as usize]);
        let mut segment = 0;
        for &(length, used) in blocks {
            memory.put(LOW + (segment << LOG2), &(length as u32).to_ne_bytes());
            memory.put(LOW + (segment << LOG2) + 8, &[u8::from(used)]);
            // HotSpot counts to 254, and from 1 again.
            let map: Vec<u8> = (0..length).map(|at| if at == 0 { 0 } else { ((at - 1) % 254 + 1) as u8 }).collect();
            memory.put(MAP + segment, &map);
            segment += length;
        }
        memory.put(0x20, &LIST.to_ne_bytes());
        memory.put(LIST, &1u32.to_ne_bytes());
        memory.put(LIST + 8, &ARRAY.to_ne_bytes());
        memory.put(ARRAY, &THREAD.to_ne_bytes());
        memory.thread_is(4);
        memory
    }

    fn put(&mut self, address: u64, bytes: &[u8]) {
        self.0.extend((address..).zip(bytes.iter().copied()));
    }

    fn thread_is(&mut self, state: u32) {
        self.put(THREAD + 4, &state.to_ne_bytes());
    }

    fn dead(&self, layout: &CodeLayout, collecting: u64) -> Vec<Range<u64>> {
        let gather = |addresses: &[u64], length: u64| {
            let bytes = addresses.iter().flat_map(|&address| address..address + length);
            Ok::<_, Infallible>(bytes.map(|at| self.0.get(&at).copied().unwrap_or(0)).collect())
        };
        let Ok(dead) = find(layout, collecting, gather);
        dead
    }
}

/// A free block of ten pages between two used ones, and a short one.
fn usual() -> Memory {
    Memory::new(&[(8, true), (10 * PAGE_SEGMENTS, false), (PAGE_SEGMENTS, true), (4, false), (20, true)])
}

const TEN_PAGES_BUT_THE_EDGES: [Range<u64>; 1] = [LOW + PAGE..LOW + 10 * PAGE];

#[test]
fn whole_pages_of_free_blocks_behind_their_headers() {
    assert_eq!(usual().dead(&layout(), COLLECTING), TEN_PAGES_BUT_THE_EDGES);
    let first = Memory::new(&[(2 * PAGE_SEGMENTS, false), (8, true)]);
    assert_eq!(first.dead(&layout(), COLLECTING), [LOW + PAGE..LOW + 2 * PAGE], "its header stays");
    assert_eq!(Memory::new(&[(8, true)]).dead(&layout(), COLLECTING), []);
}

#[test]
fn lengths_of_eight_bytes() {
    let wide = CodeLayout { length_size: 8, ..layout() };
    let mut memory = usual();
    assert_eq!(memory.dead(&wide, COLLECTING), TEN_PAGES_BUT_THE_EDGES);
    memory.put(LOW + 4, &[1]);
    assert_eq!(memory.dead(&wide, COLLECTING), [], "a block of 2^32 segments and more");
    assert_eq!(memory.dead(&layout(), COLLECTING), TEN_PAGES_BUT_THE_EDGES, "nobody looks there");
}

#[test]
fn nothing_while_a_collection_runs_or_where_that_cannot_be_known() {
    let mut memory = usual();
    assert_eq!(memory.dead(&layout(), 0), []);
    memory.put(COLLECTING, &[1]);
    assert_eq!(memory.dead(&layout(), COLLECTING), []);
}

#[test]
fn nothing_while_a_thread_is_in_the_vm() {
    let mut memory = usual();
    for state in IN_VM {
        memory.thread_is(state);
        assert_eq!(memory.dead(&layout(), COLLECTING), [], "state {state}");
    }
    memory.thread_is(10);
    assert_eq!(memory.dead(&layout(), COLLECTING), TEN_PAGES_BUT_THE_EDGES, "a blocked thread");
    memory.put(LIST, &0u32.to_ne_bytes());
    assert_eq!(memory.dead(&layout(), COLLECTING), [], "no thread at all");
}

#[test]
fn nothing_where_blocks_do_not_follow_each_other() {
    let block = LOW + (8 << LOG2);
    let (one, other) = (5 * PAGE_SEGMENTS as u32, 20 * PAGE_SEGMENTS as u32);
    for length in [0, one, other, u32::MAX] {
        let mut memory = usual();
        memory.put(block, &length.to_ne_bytes());
        assert_eq!(memory.dead(&layout(), COLLECTING), [], "a block of {length} segments");
    }
    let mut memory = usual();
    memory.put(MAP + 8 + PAGE_SEGMENTS, &[BEGINS]);
    assert_eq!(memory.dead(&layout(), COLLECTING), [], "being cut");
    let mut memory = usual();
    memory.put(MAP, &[3]);
    assert_eq!(memory.dead(&layout(), COLLECTING), [], "the first one begins elsewhere");
    let mut memory = usual();
    memory.put(HEAP + 24, &40u32.to_ne_bytes());
    assert_eq!(memory.dead(&layout(), COLLECTING), [], "segments longer than any are");
}

#[test]
fn nothing_of_heaps_that_nobody_knows() {
    assert_eq!(usual().dead(&CodeLayout { heap_count: 0, ..layout() }, COLLECTING), []);
}
