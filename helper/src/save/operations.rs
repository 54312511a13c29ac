//! From areas with their runs to the restorer's operations and the layout of the image's pages.

use super::areas::{Area, Source};
use super::huge_blocks;
use super::pages::Contents;
use super::repeated;
use crate::host::kernel;
use hotfork_abi::restore::{
    FILE_IMAGE, MapOperation, OP_ADVISE, OP_ANONYMOUS, OP_COPY, OP_PRIVATE_FILE, OP_PROTECT, OP_SHARED_FILE,
};
use hotfork_abi::{HUGE_PAGE, template};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Bytes that one range of a template's write has at most, so that progress shows.
const WRITE_AT_MOST: u64 = 32 << 20;

/// Everything that the image says about memory.
#[derive(Default)]
pub struct Plan {
    pub operations: Vec<MapOperation>,
    /// What the template writes, and where.
    pub writes: Vec<template::Range>,
    /// Parts of the file that are zero and need no room on the disk.
    pub holes: Vec<Range<u64>>,
    /// Files to map; an operation's index is the position here plus one.
    pub files: Vec<PathBuf>,
    /// End of the pages in the image file.
    pub pages_end: u64,
    /// Index of the operation that maps the performance memory.
    pub perf_operation: Option<u64>,
    /// Mappings that a restore makes.
    pub mapping_count: u32,
    pub private_writable: u64,
    pub total_mapped: u64,
}

/// Lays the runs out from `pages_start` on, densely, in address order.
pub fn plan(contents: &[Contents], pages_start: u64) -> Plan {
    let mut plan = Plan { pages_end: pages_start, ..Plan::default() };
    for part in contents {
        plan.add(part);
    }
    let maps =
        |operation: &&MapOperation| matches!(operation.operation, OP_ANONYMOUS | OP_PRIVATE_FILE | OP_SHARED_FILE);
    plan.mapping_count = plan.operations.iter().filter(maps).count() as u32;
    plan
}

impl Plan {
    fn add(&mut self, part: &Contents) {
        let area = &part.area;
        self.total_mapped += area.length();
        if area.protection & libc::PROT_WRITE as u32 != 0 && !matches!(area.source, Source::SharedFile { .. }) {
            self.private_writable += area.length();
        }
        if area.performance {
            // `pages::select` takes all of it, so that it is one operation.
            let covered = part.runs.len() == 1 && part.runs[0] == (area.start..area.end);
            self.perf_operation = covered.then_some(self.operations.len() as u64);
        }
        // Operations stay in the order of their addresses.
        let below = below(part);
        let (before, after) = part.runs.split_at(usize::from(below.start > area.start));
        before.iter().for_each(|run| self.run(part, run));
        if !below.is_empty() {
            self.base(area, &below, !area.mapped_from_image && !part.runs.is_empty());
        }
        after.iter().for_each(|run| self.run(part, run));
        self.finish(area, !area.mapped_from_image && !part.runs.is_empty());
    }

    fn run(&mut self, part: &Contents, run: &Range<u64>) {
        let mut from = run.start;
        for stretch in part.repeated.iter().filter(|stretch| run.contains(&stretch.start)) {
            self.piece(part, &(from..stretch.start));
            self.stretch(&part.area, stretch);
            from = stretch.end;
        }
        self.piece(part, &(from..run.end));
    }

    /// Of pages that hold one byte a part is written, and mapped again and again.
    fn stretch(&mut self, area: &Area, stretch: &Range<u64>) {
        let (stored, offset) = (repeated::stored(stretch), self.pages_end);
        repeated::parts(stretch).for_each(|part| self.overlay(area, part.start, part.end - part.start, offset));
        self.write(stretch.start..stretch.start + stored, offset);
        self.pages_end += stored;
    }

    /// Pages that the image holds: mapped or copied from there, written there by the template.
    fn piece(&mut self, part: &Contents, run: &Range<u64>) {
        if run.is_empty() {
            return;
        }
        if part.huge {
            self.align(run);
        }
        let (length, offset) = (run.end - run.start, self.pages_end);
        self.overlay(&part.area, run.start, length, offset);
        let mut from = run.start;
        for gap in part.gaps.iter().filter(|gap| run.contains(&gap.start)) {
            self.write(from..gap.start, offset + (from - run.start));
            let hole = offset + (gap.start - run.start);
            self.holes.push(hole..hole + (gap.end - gap.start));
            from = gap.end;
        }
        self.write(from..run.end, offset + (from - run.start));
        self.pages_end += length;
    }

    /// Huge pages of the file lie where those of memory do, if the run has a whole one.
    fn align(&mut self, run: &Range<u64>) {
        if huge_blocks::inside(run).is_empty() {
            return;
        }
        let place = self.pages_end + run.start.wrapping_sub(self.pages_end) % HUGE_PAGE;
        if place > self.pages_end {
            self.holes.push(self.pages_end..place);
            self.pages_end = place;
        }
    }

    fn write(&mut self, pages: Range<u64>, offset: u64) {
        let length = pages.end - pages.start;
        for step in (0..length).step_by(WRITE_AT_MOST as usize) {
            let piece = WRITE_AT_MOST.min(length - step);
            self.writes.push(template::Range { address: pages.start + step, length: piece, offset: offset + step });
        }
    }

    /// The mapping as it is without the pages that the image holds. Where those are copied in, it must be writable.
    fn base(&mut self, area: &Area, range: &Range<u64>, copied: bool) {
        let skipped = range.start - area.start;
        let (operation, offset, file) = match &area.source {
            Source::Anonymous | Source::Wiped | Source::Carried => (OP_ANONYMOUS, 0, FILE_IMAGE),
            Source::PrivateFile { path, offset } => (OP_PRIVATE_FILE, offset + skipped, self.file(path)),
            Source::SharedFile { path, offset } => (OP_SHARED_FILE, offset + skipped, self.file(path)),
        };
        let writable = (libc::PROT_READ | libc::PROT_WRITE) as u32;
        let protection = if copied { area.protection | writable } else { area.protection };
        let (address, length, flags) = (range.start, range.end - range.start, flags(area, operation));
        self.operations.push(MapOperation { address, length, offset, operation, protection, flags, file });
    }

    fn overlay(&mut self, area: &Area, address: u64, length: u64, offset: u64) {
        let operation = if area.mapped_from_image { OP_PRIVATE_FILE } else { OP_COPY };
        let protection = area.protection;
        let flags = if area.mapped_from_image { flags(area, operation) } else { 0 };
        let next = MapOperation { address, length, offset, operation, protection, flags, file: FILE_IMAGE };
        let after_performance = self.perf_operation.is_some_and(|index| index + 1 == self.operations.len() as u64);
        match self.operations.last_mut() {
            Some(last) if !area.performance && !after_performance && follows(last, &next) => last.length += length,
            _ => self.operations.push(next),
        }
    }

    /// What remains to be said about a mapping once it is filled.
    fn finish(&mut self, area: &Area, copied: bool) {
        let (address, length) = (area.start, area.length());
        let mut say = |operation, protection, flags| {
            self.operations.push(MapOperation {
                address,
                length,
                offset: 0,
                operation,
                protection,
                flags,
                file: FILE_IMAGE,
            });
        };
        let writable = (libc::PROT_READ | libc::PROT_WRITE) as u32;
        if copied && area.protection & writable != writable {
            say(OP_PROTECT, area.protection, 0);
        }
        let advice = [
            (matches!(area.source, Source::Wiped), libc::MADV_WIPEONFORK),
            (area.flags.huge_page, libc::MADV_HUGEPAGE),
            (area.flags.no_huge_page && !kernel::stacks_have_no_huge_pages(), libc::MADV_NOHUGEPAGE),
            (area.flags.do_not_dump, libc::MADV_DONTDUMP),
        ];
        for (_, advice) in advice.into_iter().filter(|(wanted, _)| *wanted) {
            say(OP_ADVISE, 0, advice as u32);
        }
    }

    fn file(&mut self, path: &Path) -> u32 {
        let known = self.files.iter().position(|file| file == path);
        let position = known.unwrap_or_else(|| {
            self.files.push(path.to_path_buf());
            self.files.len() - 1
        });
        position as u32 + 1
    }
}

/// What of an area must be mapped before its runs are. Not where a run will lie at its start or end: the kernel would
/// have to split the mapping again. A run in its middle is laid over it, which takes one call and not two.
fn below(part: &Contents) -> Range<u64> {
    let area = &part.area;
    let mut range = area.start..area.end;
    if area.mapped_from_image {
        if let Some(first) = part.runs.first().filter(|run| run.start == range.start) {
            range.start = first.end;
        }
        if let Some(last) = part.runs.last().filter(|run| run.end == range.end && run.start >= range.start) {
            range.end = last.start;
        }
    }
    range
}

/// Further mmap flags. MAP_NORESERVE: instances share most of what they map, and must not have to promise it all.
fn flags(area: &Area, operation: u32) -> u32 {
    let mut flags = 0;
    let hugetlb = area.flags.hugetlb && operation == OP_ANONYMOUS;
    let writable = area.protection & libc::PROT_WRITE as u32 != 0;
    if operation != OP_SHARED_FILE && !hugetlb && (writable || area.flags.no_reserve) {
        flags |= libc::MAP_NORESERVE;
    }
    if area.flags.no_huge_page && kernel::stacks_have_no_huge_pages() {
        // The same as the advice, without another call for each stack.
        flags |= libc::MAP_STACK;
    }
    if operation == OP_ANONYMOUS && area.flags.grows_down {
        flags |= libc::MAP_GROWSDOWN;
    }
    if hugetlb {
        flags |= libc::MAP_HUGETLB | (area.page_size.trailing_zeros() as i32) << libc::MAP_HUGE_SHIFT;
    }
    flags as u32
}

/// Whether two image operations are one: next to each other in memory and in the file, and otherwise alike.
fn follows(last: &MapOperation, next: &MapOperation) -> bool {
    last.file == FILE_IMAGE
        && matches!(last.operation, OP_PRIVATE_FILE | OP_COPY)
        && last.operation == next.operation
        && last.address + last.length == next.address
        && last.offset + last.length == next.offset
        && last.protection == next.protection
        && last.flags == next.flags
}

#[cfg(test)]
#[path = "operations_tests.rs"]
mod tests;
