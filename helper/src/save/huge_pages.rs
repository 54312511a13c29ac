//! Free Java heap that the first request leaves alone is to come in huge pages: a service goes on to it at once, and a page
//! fault for each 4 KB is a quarter of a warm request's time. What the first request uses stays as it is, and with
//! it the memory of an instance that serves one.

use super::huge_blocks::inside;
use crate::restore::merged;
use crate::trial::pages::without;
use hotfork_abi::restore::{MapOperation, OP_ADVISE, OP_ANONYMOUS};
use std::ops::Range;

/// Each costs every restore a system call, and splits a mapping.
const AT_MOST: usize = 8;
const READ_WRITE: u32 = (libc::PROT_READ | libc::PROT_WRITE) as u32;

/// Advice for the longest parts of `heap` that `operations` neither fill nor bring in.
pub fn of_free_heap(heap: &Range<u64>, operations: &[MapOperation]) -> Vec<MapOperation> {
    let is_free = |operation: &MapOperation| operation.operation == OP_ANONYMOUS && operation.protection == READ_WRITE;
    let ranges = |free: bool| {
        let chosen = operations.iter().filter(|operation| is_free(operation) == free);
        let in_heap = chosen.map(|one| one.address.max(heap.start)..(one.address + one.length).min(heap.end));
        let mut ranges: Vec<_> = in_heap.filter(|range| range.start < range.end).collect();
        ranges.sort_unstable_by_key(|range| range.start);
        merged(ranges)
    };
    let mut free: Vec<_> =
        without(&ranges(true), &ranges(false)).iter().map(inside).filter(|range| range.start < range.end).collect();
    free.sort_by_key(|range| std::cmp::Reverse(range.end - range.start));
    free.truncate(AT_MOST);
    free.sort_unstable_by_key(|range| range.start);
    free.into_iter().map(|range| advice(&range)).collect()
}

fn advice(range: &Range<u64>) -> MapOperation {
    MapOperation {
        address: range.start,
        length: range.end - range.start,
        offset: 0,
        operation: OP_ADVISE,
        protection: 0,
        flags: libc::MADV_HUGEPAGE as u32,
        file: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hotfork_abi::restore::{OP_ADVISE_LATER, OP_PRIVATE_FILE};

    const MB: u64 = 1 << 20;
    const HEAP: Range<u64> = 64 * MB..128 * MB;

    fn of(operation: u32, range: Range<u64>) -> MapOperation {
        MapOperation { operation, protection: READ_WRITE, flags: 0, ..advice(&range) }
    }

    fn ranges(operations: &[MapOperation]) -> Vec<Range<u64>> {
        let in_mb = |one: &MapOperation| one.address / MB..(one.address + one.length) / MB;
        of_free_heap(&HEAP, operations).iter().map(in_mb).collect()
    }

    #[test]
    fn whole_huge_pages_that_nothing_fills_or_brings_in() {
        let operations = [
            of(OP_ANONYMOUS, 16 * MB..32 * MB),
            of(OP_ANONYMOUS, HEAP),
            of(OP_PRIVATE_FILE, 60 * MB..69 * MB),
            of(OP_ADVISE_LATER, 83 * MB..84 * MB),
        ];
        assert_eq!(ranges(&operations), [70..82, 84..128]);
        assert_eq!(of_free_heap(&HEAP, &operations)[0].flags, libc::MADV_HUGEPAGE as u32);
    }

    #[test]
    fn what_is_only_reserved_stays_so() {
        let reserved = MapOperation { protection: 0, ..of(OP_ANONYMOUS, 96 * MB..128 * MB) };
        assert_eq!(ranges(&[of(OP_ANONYMOUS, 64 * MB..96 * MB), reserved]), [64..96]);
    }

    #[test]
    fn the_longest_few() {
        let mut operations = vec![of(OP_ANONYMOUS, HEAP)];
        // Between them twelve parts of one huge page, behind them one of eight.
        operations.extend((0..12).map(|number| of(OP_PRIVATE_FILE, (66 + number * 4) * MB..(67 + number * 4) * MB)));
        let found = ranges(&operations);
        assert_eq!((found.len(), found.last()), (AT_MOST, Some(&(112..128))), "{found:?}");
        assert!(found.is_sorted_by(|one, next| one.end < next.start), "{found:?}");
    }
}
