//! Looks through the map operations once: is each one sound, what do they occupy, and what must be
//! done differently on this host.

use crate::image::format::Header;
use hotfork_abi::PAGE;
use hotfork_abi::restore::*;
use std::ops::Range;

/// One page below the end of the 47-bit user address space.
pub const ADDRESS_SPACE_END: u64 = (1 << 47) - PAGE;

const EXEC: u32 = libc::PROT_EXEC as u32;
const READ: u32 = libc::PROT_READ as u32;
const READ_WRITE: u32 = (libc::PROT_READ | libc::PROT_WRITE) as u32;

pub const fn is_mapping(operation: &MapOperation) -> bool {
    matches!(operation.operation, OP_ANONYMOUS | OP_PRIVATE_FILE | OP_SHARED_FILE)
}

/// Brings pages in ahead of need.
pub const fn is_prefetch(operation: &MapOperation) -> bool {
    match operation.operation {
        OP_ADVISE | OP_ADVISE_LATER => matches!(operation.flags, MADV_POPULATE_WRITE | MADV_POPULATE_READ),
        OP_READ_AHEAD => true,
        _ => false,
    }
}

/// Memory of a file that nobody may write to.
pub const fn is_read_only_file(operation: &MapOperation) -> bool {
    matches!(operation.operation, OP_PRIVATE_FILE | OP_SHARED_FILE) && operation.protection & READ_WRITE == READ
}

pub fn drop(operation: &mut MapOperation) {
    operation.operation = OP_NONE;
}

pub const fn range(operation: &MapOperation) -> Range<u64> {
    operation.address..operation.address + operation.length
}

/// Whether the restorer can carry the operation out as it is. The digest vouches for what was
/// written; this is for what a faulty writer wrote.
fn is_sound(operation: &MapOperation, header: &Header, files: u64) -> bool {
    let from_file = matches!(operation.operation, OP_PRIVATE_FILE | OP_SHARED_FILE | OP_COPY);
    let aligned = operation.address % PAGE == 0 && operation.length % PAGE == 0 && operation.offset % PAGE == 0;
    let end = operation.address.checked_add(operation.length);
    let source_end = operation.offset.checked_add(operation.length);
    let pages = header.pages_offset..=header.pages_offset + header.pages_length;
    let in_pages = operation.file != FILE_IMAGE
        || (pages.contains(&operation.offset) && source_end.is_some_and(|end| pages.contains(&end)));
    // Whoever carries it out waits until that file is open.
    let has_file = u64::from(operation.file) <= files;
    match operation.operation {
        OP_NONE => has_file,
        OP_ANONYMOUS..=OP_ADVISE | OP_ADVISE_LATER | OP_READ_AHEAD => {
            (aligned || operation.operation == OP_COPY)
                && operation.length > 0
                && operation.address >= PAGE
                && end.is_some_and(|end| end <= ADDRESS_SPACE_END)
                && has_file
                && (!from_file || in_pages)
        }
        _ => false,
    }
}

/// Index of the first operation that is not sound.
pub fn first_unsound(operations: &[MapOperation], header: &Header, files: usize) -> Option<usize> {
    operations.iter().position(|operation| !is_sound(operation, header, files as u64))
}

/// The ranges that the operations map, ascending and merged.
pub fn occupied(operations: &[MapOperation]) -> Vec<Range<u64>> {
    let mut ranges: Vec<_> = operations.iter().filter(|operation| is_mapping(operation)).map(range).collect();
    ranges.sort_unstable_by_key(|range| range.start);
    merge(ranges)
}

pub fn merge(sorted: Vec<Range<u64>>) -> Vec<Range<u64>> {
    let mut merged: Vec<Range<u64>> = Vec::with_capacity(sorted.len());
    for range in sorted {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

/// No fewer mappings than the kernel will have after the operations: each one splits at most one
/// mapping in two and adds itself.
pub fn mapping_bound(operations: &[MapOperation]) -> u64 {
    let splits = |operation: &&MapOperation| is_mapping(operation) || operation.operation == OP_PROTECT;
    2 * operations.iter().filter(splits).count() as u64
}

/// The same, closer and slower: the pieces into which all boundaries cut the occupied ranges.
pub fn mapping_pieces(operations: &[MapOperation]) -> u64 {
    let mut boundaries: Vec<u64> = operations
        .iter()
        .filter(|operation| is_mapping(operation) || operation.operation == OP_PROTECT)
        .flat_map(|operation| [operation.address, operation.address + operation.length])
        .collect();
    boundaries.sort_unstable();
    boundaries.dedup();
    let inside = |range: &Range<u64>| {
        let first = boundaries.partition_point(|boundary| boundary < &range.start);
        let last = boundaries.partition_point(|boundary| boundary <= &range.end);
        (last - first).saturating_sub(1) as u64
    };
    occupied(operations).iter().map(inside).sum()
}

/// For an image on a noexec mount: what is or becomes executable is copied into anonymous memory.
/// `further` is a range that is made executable besides.
pub fn without_executable_image_pages(operations: &[MapOperation], further: &Range<u64>) -> Vec<MapOperation> {
    let mut executable: Vec<Range<u64>> = operations
        .iter()
        .filter(|operation| operation.operation == OP_PROTECT && operation.protection & EXEC != 0)
        .map(range)
        .collect();
    executable.push(further.clone());
    let overlaps = |a: &Range<u64>, b: &Range<u64>| a.start < b.end && b.start < a.end;
    let mut changed = Vec::with_capacity(operations.len() + 64);
    for operation in operations {
        let from_image = operation.operation == OP_PRIVATE_FILE && operation.file == FILE_IMAGE;
        let runs = operation.protection & EXEC != 0
            || executable.iter().any(|executable| overlaps(executable, &range(operation)));
        if !(from_image && runs) {
            changed.push(*operation);
            continue;
        }
        changed.push(MapOperation { operation: OP_ANONYMOUS, protection: READ_WRITE, offset: 0, ..*operation });
        changed.push(MapOperation { operation: OP_COPY, flags: 0, ..*operation });
        if operation.protection != READ_WRITE {
            changed.push(MapOperation { operation: OP_PROTECT, flags: 0, offset: 0, ..*operation });
        }
    }
    changed
}

/// Whether any image page is to be executable, here or by a later OP_PROTECT.
pub fn executes_image_pages(operations: &[MapOperation]) -> bool {
    operations.iter().any(|operation| {
        operation.protection & EXEC != 0
            && ((operation.operation == OP_PRIVATE_FILE && operation.file == FILE_IMAGE)
                || operation.operation == OP_PROTECT)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use hotfork_abi::Plain;

    fn operation(kind: u32, address: u64, protection: u32) -> MapOperation {
        MapOperation { address, length: PAGE, offset: 0x10000, operation: kind, protection, flags: 0, file: 0 }
    }

    fn header() -> Header {
        Header { pages_offset: 0x10000, pages_length: 2 * PAGE, ..Header::zeroed() }
    }

    #[test]
    fn sound_operations_pass() {
        let operations: Vec<_> = (OP_ANONYMOUS..=OP_READ_AHEAD).map(|kind| operation(kind, 0x1000, 3)).collect();
        assert_eq!(first_unsound(&operations, &header(), 0), None);
    }

    #[test]
    fn each_unsound_operation_is_found() {
        let changes: [fn(&mut MapOperation); 9] = [
            |o| o.address += 1,
            |o| o.address = 0,
            |o| o.address = ADDRESS_SPACE_END,
            |o| o.address = u64::MAX - PAGE + 1,
            |o| o.length = 0,
            |o| o.length = 3 * PAGE,
            |o| o.offset = 0,
            |o| o.file = 1,
            |o| o.operation = OP_READ_AHEAD + 1,
        ];
        for (index, change) in changes.into_iter().enumerate() {
            let mut wrong = operation(OP_PRIVATE_FILE, 0x1000, 3);
            change(&mut wrong);
            assert_eq!(first_unsound(&[wrong], &header(), 0), Some(0), "change {index}");
        }
        for kind in OP_ANONYMOUS..=OP_READ_AHEAD {
            let wrong = MapOperation { file: 1, ..operation(kind, 0x1000, 3) };
            assert_eq!(first_unsound(&[wrong], &header(), 0), Some(0), "kind {kind}");
        }
    }

    #[test]
    fn occupied_ranges_are_merged() {
        let operations = [
            operation(OP_ANONYMOUS, 0x5000, 3),
            operation(OP_ANONYMOUS, 0x1000, 3),
            operation(OP_PRIVATE_FILE, 0x2000, 3),
        ];
        assert_eq!(occupied(&operations), [0x1000..0x3000, 0x5000..0x6000]);
        assert_eq!(mapping_bound(&operations), 6);
        assert_eq!(mapping_pieces(&operations), 3);
    }

    #[test]
    fn a_piece_on_top_splits_its_base() {
        let base = MapOperation { length: 8 * PAGE, ..operation(OP_ANONYMOUS, 0x1000, 3) };
        assert_eq!(mapping_pieces(&[base, operation(OP_PRIVATE_FILE, 0x3000, 3)]), 3);
        assert_eq!(mapping_pieces(&[base, operation(OP_PRIVATE_FILE, 0x1000, 3)]), 2);
    }

    #[test]
    fn executable_pages_are_copied_where_the_mount_forbids_them() {
        let operations = [
            operation(OP_PRIVATE_FILE, 0x1000, 5),
            operation(OP_PRIVATE_FILE, 0x2000, 3),
            operation(OP_PRIVATE_FILE, 0x3000, 3),
            operation(OP_PROTECT, 0x3000, 5),
        ];
        assert!(executes_image_pages(&operations));
        let changed = without_executable_image_pages(&operations, &(0x9000..0xa000));
        let kinds: Vec<_> = changed.iter().map(|o| (o.operation, o.address, o.protection)).collect();
        assert_eq!(
            kinds,
            [
                (OP_ANONYMOUS, 0x1000, 3),
                (OP_COPY, 0x1000, 5),
                (OP_PROTECT, 0x1000, 5),
                (OP_PRIVATE_FILE, 0x2000, 3),
                (OP_ANONYMOUS, 0x3000, 3),
                (OP_COPY, 0x3000, 3),
                (OP_PROTECT, 0x3000, 5),
            ]
        );
        assert_eq!(changed[1].offset, 0x10000);
    }
}
