//! What an image advises the kernel. Advice may always be left out, so it must do no harm: some would empty memory, and beside the
//! image's own memory lie the restorer and the host's vdso.
//!
//! A prefetch of pages that nobody will use is harmless, but no image asks for more pages than its trial wrote, or its
//! threads do: a range that is far too long would use up the host's memory.

use super::operations::{is_prefetch, is_read_only_file, merge, range};
use crate::image::manifest::Manifest;
use crate::save::first_pages;
use hotfork_abi::PAGE;
use hotfork_abi::restore::{
    FILE_IMAGE, MADV_POPULATE_READ, MADV_POPULATE_WRITE, MapOperation, OP_ADVISE, OP_ADVISE_LATER, OP_READ_AHEAD,
};
use std::ops::Range;

const KNOWN: [u32; 5] = [
    libc::MADV_WIPEONFORK as u32,
    libc::MADV_HUGEPAGE as u32,
    libc::MADV_NOHUGEPAGE as u32,
    libc::MADV_DONTDUMP as u32,
    MADV_POPULATE_WRITE,
];

/// Index of the first operation that would read where there is no read-only memory of a file, or behind the file's end: that kills (SIGBUS).
/// Every operation was found sound before.
pub fn first_unreadable(operations: &[MapOperation], manifest: &Manifest) -> Option<usize> {
    let readable = |operation: &MapOperation| {
        let size = match operation.file {
            FILE_IMAGE => u64::MAX,
            file => manifest.files.get(file as usize - 1).map_or(0, |file| file.size.next_multiple_of(PAGE)),
        };
        let length = operation.length.min(size.saturating_sub(operation.offset));
        operation.address..operation.address + length
    };
    let mut ranges: Vec<_> = operations.iter().filter(|one| is_read_only_file(one)).map(readable).collect();
    ranges.sort_unstable_by_key(|range| range.start);
    let ranges = merge(ranges);
    operations.iter().position(|one| one.operation == OP_READ_AHEAD && !is_inside(&range(one), &ranges))
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
