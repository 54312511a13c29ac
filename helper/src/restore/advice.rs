//! What an image advises the kernel. Advice may always be left out, so it must do no harm: some would empty memory, and beside the
//! image's own memory lie the restorer and the host's vdso.
//!
//! A prefetch of pages that nobody will use is harmless, but no image asks for more pages than its trial wrote, or its
//! threads do: a range that is far too long would use up the host's memory.

use super::operations::{is_mapping, is_prefetch, is_read_only_file, merge, range};
use crate::image::manifest::Manifest;
use crate::save::first_pages;
use hotfork_abi::PAGE;
use hotfork_abi::restore::{
    FILE_IMAGE, MADV_POPULATE_READ, MADV_POPULATE_WRITE, MapOperation, OP_ADVISE, OP_ADVISE_LATER, OP_PRIVATE_FILE,
    OP_READ_AHEAD,
};
use std::ops::Range;

const KNOWN: [u32; 5] = [
    libc::MADV_WIPEONFORK as u32,
    libc::MADV_HUGEPAGE as u32,
    libc::MADV_NOHUGEPAGE as u32,
    libc::MADV_DONTDUMP as u32,
    MADV_POPULATE_WRITE,
];

/// Index of the first operation that would read where there is no memory of the image and no read-only one of a file, or none yet, or behind the file's end: that
/// kills. Every operation was found sound before.
pub fn first_unreadable(operations: &[MapOperation], manifest: &Manifest) -> Option<usize> {
    let readable = |operation: &MapOperation| {
        let size = match operation.file {
            FILE_IMAGE => u64::MAX,
            file => manifest.files.get(file as usize - 1).map_or(0, |file| file.size.next_multiple_of(PAGE)),
        };
        let length = operation.length.min(size.saturating_sub(operation.offset));
        operation.address..operation.address + length
    };
    let mut ranges: Vec<_> =
        operations.iter().filter(|one| is_read_only_file(one) || is_of_the_image(one)).map(readable).collect();
    ranges.sort_unstable_by_key(|range| range.start);
    let ranges = merge(ranges);
    let in_order = go_downwards(operations);
    let unreadable = |one: &MapOperation| !in_order || !is_inside(&range(one), &ranges);
    operations.iter().position(|one| one.operation == OP_READ_AHEAD && unreadable(one))
}

const fn is_of_the_image(operation: &MapOperation) -> bool {
    let readable = operation.protection & libc::PROT_READ as u32 != 0;
    operation.operation == OP_PRIVATE_FILE && operation.file == FILE_IMAGE && readable
}

/// Whether each mapping lies below all that was mapped before it, or over some of what was mapped since the last one that did.
fn go_downwards(operations: &[MapOperation]) -> bool {
    let mut since = u64::MAX..u64::MAX;
    operations.iter().filter(|one| is_mapping(one)).map(range).all(|mapped| {
        if mapped.end <= since.start {
            since = mapped;
            return true;
        }
        let over = since.start <= mapped.start && mapped.start < since.end;
        since.end = since.end.max(mapped.end);
        over
    })
}

/// Whether one of `ranges`, ascending and merged, holds all of `range`.
fn is_inside(range: &Range<u64>, ranges: &[Range<u64>]) -> bool {
    let at = ranges.partition_point(|mapped| mapped.end <= range.start);
    ranges.get(at).is_some_and(|mapped| mapped.start <= range.start && range.end <= mapped.end)
}

/// Index of the first advice that no image gives. Every operation was found sound before; `occupied` is what they map.
pub fn first_unsound(operations: &[MapOperation], occupied: &[Range<u64>], manifest: &Manifest) -> Option<usize> {
    let mut left = match &manifest.trial {
        Some(Ok(trial)) => trial
            .pages_before
            .saturating_add(trial.pages_by_first_answer)
            .saturating_add(trial.pages_read_by_first_answer),
        _ => first_pages::at_most(manifest.threads.len()),
    };
    operations.iter().position(|operation| {
        let known: &[u32] = match operation.operation {
            OP_ADVISE => &KNOWN,
            OP_ADVISE_LATER => &[MADV_POPULATE_WRITE, MADV_POPULATE_READ],
            _ => return false,
        };
        let inside = is_inside(&range(operation), occupied);
        let pages = if is_prefetch(operation) { operation.length / PAGE } else { 0 };
        let within = left.checked_sub(pages);
        left = within.unwrap_or(0);
        !inside || within.is_none() || !known.contains(&operation.flags)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use hotfork_abi::Plain;
    use hotfork_abi::restore::OP_ANONYMOUS;

    #[test]
    fn mappings_go_downwards_but_for_those_over_others() {
        let of = |places: &[(u64, u64)]| -> Vec<_> {
            let mapping = |&(address, length)| MapOperation {
                operation: OP_ANONYMOUS,
                address,
                length,
                ..MapOperation::zeroed()
            };
            places.iter().map(mapping).collect()
        };
        assert!(go_downwards(&of(&[
            (0x9000, 0x1000),
            (0x2000, 0x4000),
            (0x3000, 0x1000),
            (0x5000, 0x1000),
            (0x1000, 0x1000)
        ])));
        assert!(!go_downwards(&of(&[(0x1000, 0x1000), (0x2000, 0x1000)])));
        assert!(!go_downwards(&of(&[(0x2000, 0x4000), (0x1000, 0x2000)])));
        assert!(!go_downwards(&of(&[(0x5000, 0x1000), (0x2000, 0x1000), (0x5000, 0x1000)])));
    }
}
