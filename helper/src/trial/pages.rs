//! Which pages of an image an instance has made its own by writing to them.

use crate::proc::pagemap::Pagemap;
use crate::proc::{ProcError, Process, maps};
use crate::restore::is_read_only_file;
use crate::save::huge_blocks;
use hotfork_abi::restore::{
    FILE_IMAGE, MADV_POPULATE_READ, MADV_POPULATE_WRITE, MapOperation, OP_ADVISE_LATER, OP_ANONYMOUS, OP_COPY,
    OP_PRIVATE_FILE, OP_READ_AHEAD, OP_SHARED_FILE,
};
use hotfork_abi::{HUGE_PAGE, PAGE};
use std::ops::Range;

/// Ascending; only pages that a restore does not make private anyway.
pub fn written(process: Process, operations: &[MapOperation]) -> Result<Vec<Range<u64>>, ProcError> {
    let pagemap = Pagemap::open(process)?;
    let own = OwnedLater::new(operations);
    let mut written: Vec<Range<u64>> = Vec::new();
    for mapping in process.parse("maps", maps::parse)?.iter().filter(|mapping| mapping.write && !mapping.shared) {
        pagemap.visit(mapping.range(), |page, state| {
            if state.is_private_copy() && own.hold(page) {
                push(&mut written, page);
            }
        })?;
    }
    Ok(written)
}

/// Pages of files, the image among them, that it has mapped to read them. Ascending; the kernel maps sixteen where one is asked for.
pub fn read(process: Process, operations: &[MapOperation]) -> Result<Vec<Range<u64>>, ProcError> {
    let pagemap = Pagemap::open(process)?;
    let files = Places::new(operations, |one| matches!(one.operation, OP_PRIVATE_FILE | OP_SHARED_FILE));
    let mut read: Vec<Range<u64>> = Vec::new();
    for mapping in process.parse("maps", maps::parse)?.iter().filter(|mapping| mapping.inode != 0) {
        pagemap.visit(mapping.range(), |page, state| {
            if state.is_of_a_file() && files.hold(page) {
                push(&mut read, page);
            }
        })?;
    }
    Ok(read)
}

/// Of these ascending ranges the pages that a write makes an instance's own.
pub fn ownable(ranges: &[Range<u64>], operations: &[MapOperation]) -> Vec<Range<u64>> {
    let own = OwnedLater::new(operations);
    pages_of(ranges, |page| own.hold(page))
}

fn pages_of(ranges: &[Range<u64>], wanted: impl Fn(u64) -> bool) -> Vec<Range<u64>> {
    let mut pages = Vec::new();
    for page in ranges.iter().flat_map(|range| range.clone().step_by(PAGE as usize)).filter(|&page| wanted(page)) {
        push(&mut pages, page);
    }
    pages
}

fn push(ranges: &mut Vec<Range<u64>>, page: u64) {
    match ranges.last_mut() {
        Some(last) if last.end == page => last.end = page + PAGE,
        _ => ranges.push(page..page + PAGE),
    }
}

/// Pages that a restore maps, and does not make private by itself.
struct OwnedLater {
    mapped: Places,
    copied: Places,
}

impl OwnedLater {
    fn new(operations: &[MapOperation]) -> Self {
        Self {
            mapped: Places::new(operations, |operation| matches!(operation.operation, OP_ANONYMOUS | OP_PRIVATE_FILE)),
            copied: Places::new(operations, |operation| operation.operation == OP_COPY),
        }
    }

    fn hold(&self, page: u64) -> bool {
        self.mapped.hold(page) && !self.copied.hold(page)
    }
}

/// Ascending ranges that operations touch.
struct Places(Vec<Range<u64>>);

impl Places {
    fn new(operations: &[MapOperation], which: impl Fn(&MapOperation) -> bool) -> Self {
        let chosen = operations.iter().filter(|operation| which(operation));
        let mut ranges: Vec<_> =
            chosen.map(|one| one.address & !(PAGE - 1)..(one.address + one.length).next_multiple_of(PAGE)).collect();
        ranges.sort_unstable_by_key(|range| range.start);
        Self(crate::restore::merged(ranges))
    }

    fn hold(&self, page: u64) -> bool {
        let at = self.0.partition_point(|range| range.end <= page);
        self.0.get(at).is_some_and(|range| range.start <= page)
    }
}

/// Those that `before` does not hold, both ascending.
pub fn without(ranges: &[Range<u64>], before: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut rest = Vec::new();
    for range in ranges {
        let mut from = range.start;
        for held in before.iter().filter(|held| held.start < range.end && held.end > range.start) {
            if from < held.start {
                rest.push(from..held.start);
            }
            from = held.end;
        }
        if from < range.end {
            rest.push(from..range.end);
        }
    }
    rest
}

pub fn count(ranges: &[Range<u64>]) -> u64 {
    ranges.iter().map(|range| (range.end - range.start) / PAGE).sum()
}

/// What brings these pages in, by `OP_ADVISE` or `OP_ADVISE_LATER`.
pub fn populate(ranges: &[Range<u64>], how: u32) -> Vec<MapOperation> {
    advise(ranges, how, MADV_POPULATE_WRITE)
}

/// What maps these pages, which an instance only reads.
pub fn map_later(ranges: &[Range<u64>]) -> Vec<MapOperation> {
    advise(ranges, OP_ADVISE_LATER, MADV_POPULATE_READ)
}

/// Huge pages of the image that an instance has mapped as such, or whole: it has written to none of their pages.
pub fn huge(read: &[Range<u64>], operations: &[MapOperation]) -> Vec<Range<u64>> {
    let image = Places::new(operations, |one| one.operation == OP_PRIVATE_FILE && one.file == FILE_IMAGE);
    let whole = read.iter().map(huge_blocks::inside);
    let blocks = whole.flat_map(|range| range.step_by(HUGE_PAGE as usize)).map(|start| start..start + HUGE_PAGE);
    blocks.filter(|block| image.hold(block.start) && image.hold(block.end - PAGE)).collect()
}

/// What maps these pages while the restore's second thread still maps the rest: those of them that nobody may write to, and the first of each of `huge`, from the top
/// down.
pub fn read_ahead(ranges: &[Range<u64>], huge: &[Range<u64>], operations: &[MapOperation]) -> Vec<MapOperation> {
    let libraries = Places::new(operations, is_read_only_file);
    let mut pages = pages_of(ranges, |page| libraries.hold(page));
    pages.extend(huge.iter().map(|block| block.start..block.start + PAGE));
    pages.sort_unstable_by_key(|range| std::cmp::Reverse(range.start));
    advise(&pages, OP_READ_AHEAD, 0)
}

fn advise(ranges: &[Range<u64>], how: u32, advice: u32) -> Vec<MapOperation> {
    let operation = |range: &Range<u64>| MapOperation {
        address: range.start,
        length: range.end - range.start,
        offset: 0,
        operation: how,
        protection: 0,
        flags: advice,
        file: 0,
    };
    ranges.iter().map(operation).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hotfork_abi::restore::OP_ADVISE;

    #[test]
    fn places_are_found() {
        let mut copy = populate(&[0x5000..0x6000], OP_ADVISE)[0];
        (copy.operation, copy.address, copy.length) = (OP_COPY, 0x5800, 0x1000);
        let mapping = MapOperation { operation: OP_ANONYMOUS, address: 0x1000, length: 0x2000, ..copy };
        let operations = [copy, mapping];
        let copied = Places::new(&operations, |operation| operation.operation == OP_COPY);
        assert!(copied.hold(0x5000) && copied.hold(0x6000) && !copied.hold(0x7000) && !copied.hold(0x1000));
    }

    #[test]
    fn pages_that_nobody_maps_are_left_out() {
        let of = |operation, address, pages| MapOperation {
            operation,
            address,
            length: pages * PAGE,
            ..populate(&[0..0], OP_ADVISE)[0]
        };
        let operations = [of(OP_ANONYMOUS, 0x1000, 3), of(OP_COPY, 0x2000, 1), of(OP_PRIVATE_FILE, 0x5000, 1)];
        assert_eq!(
            ownable(&[0..0x6000, 0x9000..0xa000], &operations),
            [0x1000..0x2000, 0x3000..0x4000, 0x5000..0x6000]
        );
    }

    #[test]
    fn only_files_that_nobody_writes_to_are_read_ahead() {
        let of = |operation, address, protection: i32| MapOperation {
            operation,
            address,
            length: 4 * PAGE,
            protection: protection as u32,
            ..populate(&[0..0], OP_ADVISE)[0]
        };
        let operations = [
            of(OP_PRIVATE_FILE, 0x10000, libc::PROT_READ | libc::PROT_EXEC),
            of(OP_SHARED_FILE, 0x14000, libc::PROT_READ),
            of(OP_PRIVATE_FILE, 0x20000, libc::PROT_READ | libc::PROT_WRITE),
            of(OP_ANONYMOUS, 0x30000, libc::PROT_READ),
            of(OP_PRIVATE_FILE, 0x40000, libc::PROT_NONE),
        ];
        let ahead = read_ahead(&[0x11000..0x12000, 0x13000..0x15000, 0x20000..0x50000], &[], &operations);
        let places: Vec<_> = ahead.iter().map(|one| (one.operation, one.address, one.length)).collect();
        assert_eq!(places, [(OP_READ_AHEAD, 0x13000, 0x2000), (OP_READ_AHEAD, 0x11000, 0x1000)]);
    }

    #[test]
    fn whole_huge_pages_of_the_image_are_read_ahead_by_their_first() {
        let of = |file, start: u64, end: u64| MapOperation {
            operation: OP_PRIVATE_FILE,
            address: start,
            length: end - start,
            protection: (libc::PROT_READ | libc::PROT_WRITE) as u32,
            file,
            ..populate(&[0..0], OP_ADVISE)[0]
        };
        let operations = [
            of(FILE_IMAGE, HUGE_PAGE, 4 * HUGE_PAGE),
            of(FILE_IMAGE, 6 * HUGE_PAGE, 6 * HUGE_PAGE + PAGE),
            of(1, 8 * HUGE_PAGE, 9 * HUGE_PAGE),
        ];
        // Of the third one page was not read, the sixth is not all the image's.
        let read = [HUGE_PAGE - PAGE..4 * HUGE_PAGE - PAGE, 6 * HUGE_PAGE..9 * HUGE_PAGE];
        let huge = huge(&read, &operations);
        assert_eq!(huge, [HUGE_PAGE..2 * HUGE_PAGE, 2 * HUGE_PAGE..3 * HUGE_PAGE]);
        let places: Vec<_> =
            read_ahead(&[], &huge, &operations).iter().map(|one| (one.operation, one.address, one.length)).collect();
        assert_eq!(places, [(OP_READ_AHEAD, 2 * HUGE_PAGE, PAGE), (OP_READ_AHEAD, HUGE_PAGE, PAGE)]);
    }

    #[test]
    fn what_was_there_before_is_taken_out() {
        assert_eq!(without(&[10..20], &[]), [10..20]);
        assert_eq!(without(&[10..20], &[10..20]), []);
        assert_eq!(without(&[10..20, 30..40], &[5..12, 15..16, 35..50]), [12..15, 16..20, 30..35]);
    }

    #[test]
    fn what_was_written_is_seen_and_only_in_the_image() {
        let page = Box::new([1u8; 3 * PAGE as usize]);
        let here = (page.as_ptr() as u64).next_multiple_of(PAGE);
        let of = |address| MapOperation {
            operation: OP_ANONYMOUS,
            address,
            length: PAGE,
            ..populate(&[0..0], OP_ADVISE)[0]
        };
        let own = Process(std::process::id() as i32);
        assert_eq!(written(own, &[of(here)]).unwrap(), [here..here + PAGE]);
        let copy = MapOperation { operation: OP_COPY, ..of(here) };
        assert_eq!(written(own, &[of(here), copy]).unwrap(), []);
        assert_eq!(written(own, &[]).unwrap(), []);
        drop(page);
    }

    #[test]
    fn what_was_read_is_seen_where_it_is_a_files() {
        let code = (what_was_read_is_seen_where_it_is_a_files as fn() as usize as u64) & !(PAGE - 1);
        let of = |operation| MapOperation { operation, address: code, length: PAGE, ..populate(&[0..0], OP_ADVISE)[0] };
        let own = Process(std::process::id() as i32);
        assert_eq!(read(own, &[of(OP_PRIVATE_FILE)]).unwrap(), [code..code + PAGE]);
        assert_eq!(read(own, &[of(OP_ANONYMOUS)]).unwrap(), []);
        let later = map_later(&[code..code + PAGE]);
        assert_eq!((later[0].operation, later[0].flags), (OP_ADVISE_LATER, MADV_POPULATE_READ));
    }
}
