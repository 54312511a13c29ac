//! What an image advises the kernel. Advice may always be left out, so it must do no harm: some would empty memory, and beside the
//! image's own memory lie the restorer and the host's vdso.
//!
//! A prefetch of pages that nobody will use is harmless, but no image asks for more pages than its trial wrote, or its
//! threads do: a range that is far too long would use up the host's memory.

use super::operations::{is_prefetch, range};
use crate::image::manifest::Manifest;
use crate::save::first_pages;
use hotfork_abi::PAGE;
use hotfork_abi::restore::{MADV_POPULATE_READ, MADV_POPULATE_WRITE, MapOperation, OP_ADVISE, OP_ADVISE_LATER};
use std::ops::Range;

const KNOWN: [u32; 5] = [
    libc::MADV_WIPEONFORK as u32,
    libc::MADV_HUGEPAGE as u32,
    libc::MADV_NOHUGEPAGE as u32,
    libc::MADV_DONTDUMP as u32,
    MADV_POPULATE_WRITE,
];

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
        let range = range(operation);
        let at = occupied.partition_point(|mapped| mapped.end <= range.start);
        let inside = occupied.get(at).is_some_and(|mapped| mapped.start <= range.start && range.end <= mapped.end);
        let pages = if is_prefetch(operation) { operation.length / PAGE } else { 0 };
        let within = left.checked_sub(pages);
        left = within.unwrap_or(0);
        !inside || within.is_none() || !known.contains(&operation.flags)
    })
}
