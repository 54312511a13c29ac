//! Free Java heap: what lies between a space's or region's first free word and its end. HotSpot zeroes what it
//! allocates there, so nobody misses the bytes that dead objects left.
//!
//! Whatever does not look as expected means that nothing is left out.

use hotfork_abi::PAGE;
use hotfork_abi::record::HeapLayout;
use std::ops::Range;

/// No heap has more regions (G1: 2,048 at most by its own choice, 32 MB each at most by command line).
const REGIONS_AT_MOST: u64 = 1 << 20;
const WORD: u64 = 8;

/// Whole pages of free heap, ascending. `gather` reads so many bytes at each of the addresses.
pub fn find<E>(
    layout: &HeapLayout,
    heap: &Range<u64>,
    gather: impl Fn(&[u64], u64) -> Result<Vec<u8>, E>,
) -> Result<Vec<Range<u64>>, E> {
    if layout.collecting == 0 {
        return Ok(Vec::new());
    }
    // Then objects are being copied beyond what the bounds say.
    if gather(&[layout.collecting], 1)? != [0] {
        log::info!("a collection was under way: free heap is not left out");
        return Ok(Vec::new());
    }
    let owners = owners(layout, &gather)?;
    let bounds: Vec<u64> = owners.iter().flat_map(|&owner| [owner + layout.top, owner + layout.end]).collect();
    let bounds = words(&gather(&bounds, WORD)?);
    let free: Vec<Range<u64>> = bounds.chunks_exact(2).map(|bounds| bounds[0]..bounds[1]).collect();
    Ok(pages(free, heap).unwrap_or_else(|| {
        log::warn!("the free heap of this JVM is not where it should be: it is not left out");
        Vec::new()
    }))
}

/// Addresses of the structures that hold bounds.
fn owners<E>(layout: &HeapLayout, gather: &impl Fn(&[u64], u64) -> Result<Vec<u8>, E>) -> Result<Vec<u64>, E> {
    let mut owners = layout.spaces.to_vec();
    if layout.regions != 0 {
        let table = words(&gather(&[layout.regions, layout.region_count], WORD)?);
        if let [table, count @ 1..=REGIONS_AT_MOST] = table[..] {
            owners = words(&gather(&[table], count * WORD)?);
        }
    }
    // Regions that were never committed have no structure.
    owners.retain(|&owner| owner != 0);
    Ok(owners)
}

pub fn words(bytes: &[u8]) -> Vec<u64> {
    crate::proc::auxv::words(bytes).collect()
}

/// The whole pages in these ranges; `None` if they leave the heap or overlap.
fn pages(mut free: Vec<Range<u64>>, heap: &Range<u64>) -> Option<Vec<Range<u64>>> {
    free.sort_unstable_by_key(|range| range.start);
    let inside =
        free.iter().all(|range| heap.start <= range.start && range.start <= range.end && range.end <= heap.end);
    if !inside || free.windows(2).any(|two| two[0].end > two[1].start) {
        return None;
    }
    let whole = |range: Range<u64>| range.start.next_multiple_of(PAGE)..range.end / PAGE * PAGE;
    Some(free.into_iter().map(whole).filter(|range| range.start < range.end).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hotfork_abi::Plain;
    use std::collections::BTreeMap;
    use std::convert::Infallible;

    const HEAP: Range<u64> = 0x10_0000..0x20_0000;
    const COLLECTING: u64 = 0x10;

    /// Words of a JVM's memory.
    struct Memory(BTreeMap<u64, u64>);

    impl Memory {
        fn gather(&self, addresses: &[u64], length: u64) -> Result<Vec<u8>, Infallible> {
            let word = |address: u64| self.0.get(&address).copied().unwrap_or(0).to_le_bytes();
            let at = |&address: &u64| {
                let bytes: Vec<u8> =
                    (0..length.div_ceil(WORD)).flat_map(|index| word(address + index * WORD)).collect();
                bytes[..length as usize].to_vec()
            };
            Ok(addresses.iter().flat_map(at).collect())
        }

        fn free(&self, layout: &HeapLayout) -> Vec<Range<u64>> {
            let Ok(free) = find(layout, &HEAP, |addresses, length| self.gather(addresses, length));
            free
        }
    }

    fn spaces() -> (HeapLayout, Memory) {
        let layout = HeapLayout {
            collecting: COLLECTING,
            spaces: [0x100, 0x200, 0, 0],
            top: 8,
            end: 16,
            ..HeapLayout::zeroed()
        };
        let bounds = [(0x108, 0x11_0008), (0x110, 0x12_0000), (0x208, 0x10_0000), (0x210, 0x10_0000)];
        (layout, Memory(BTreeMap::from(bounds)))
    }

    #[test]
    fn whole_pages_between_top_and_end() {
        let (layout, memory) = spaces();
        assert_eq!(memory.free(&layout), [0x11_1000..0x12_0000]);
    }

    #[test]
    fn nothing_while_a_collection_runs_or_where_that_cannot_be_known() {
        let (layout, mut memory) = spaces();
        memory.0.insert(COLLECTING, 1);
        assert_eq!(memory.free(&layout), []);
        memory.0.remove(&COLLECTING);
        assert_eq!(memory.free(&HeapLayout { collecting: 0, ..layout }), []);
    }

    #[test]
    fn nothing_where_bounds_make_no_sense() {
        let changes: [(u64, u64); 4] = [(0x110, 0x30_0000), (0x108, 0x13_0000), (0x108, 0x1000), (0x210, 0x11_8000)];
        for change in changes {
            let (layout, mut memory) = spaces();
            memory.0.extend([change]);
            assert_eq!(memory.free(&layout), [], "{change:x?}");
        }
    }

    #[test]
    fn regions_by_their_table() {
        let layout = HeapLayout {
            collecting: COLLECTING,
            regions: 0x500,
            region_count: 0x508,
            top: 16,
            end: 8,
            ..HeapLayout::zeroed()
        };
        let mut memory = Memory(BTreeMap::from([
            (0x500, 0x600),
            (0x508, 3),
            (0x600, 0x700),
            (0x608, 0),
            (0x610, 0x800),
            (0x708, 0x11_0000),
            (0x710, 0x10_0800),
            (0x808, 0x12_0000),
            (0x810, 0x11_0000),
        ]));
        assert_eq!(memory.free(&layout), [0x10_1000..0x11_0000, 0x11_0000..0x12_0000]);
        memory.0.insert(0x508, u64::MAX);
        assert_eq!(memory.free(&layout), [], "a table that long is none");
    }
}
