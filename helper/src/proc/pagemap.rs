//! /proc/PID/pagemap: one 64-bit word a page.

use super::auxv::words;
use super::{ProcError, Process};
use hotfork_abi::PAGE;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

const PRESENT: u64 = 1 << 63;
const SWAPPED: u64 = 1 << 62;
/// Page of a file, or of shared memory; clear for a private copy.
const FILE_OR_SHARED: u64 = 1 << 61;
/// Words that are read at a time.
const BATCH: u64 = 64 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageState(u64);

impl PageState {
    pub fn has_contents(self) -> bool {
        self.0 & (PRESENT | SWAPPED) != 0
    }

    /// A file's page, mapped here.
    pub fn is_of_a_file(self) -> bool {
        self.0 & (PRESENT | FILE_OR_SHARED) == PRESENT | FILE_OR_SHARED
    }

    /// A page that belongs to this process alone, be it a copy of a file's page.
    pub fn is_private_copy(self) -> bool {
        self.has_contents() && self.0 & FILE_OR_SHARED == 0
    }
}

/// The pagemap of one process; `None` inside where the kernel has none (gVisor).
pub struct Pagemap {
    file: Option<File>,
    process: Process,
}

impl Pagemap {
    pub fn open(process: Process) -> Result<Self, ProcError> {
        let path = process.path("pagemap");
        match File::open(&path) {
            Ok(file) => Ok(Self { file: Some(file), process }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self { file: None, process }),
            Err(error) => Err(ProcError::Read { path, error }),
        }
    }

    /// Calls `visit` with the address and state of each page of `range`. Without a pagemap every page
    /// counts as a private copy: zero pages are told apart later, by reading them.
    pub fn visit(&self, range: Range<u64>, mut visit: impl FnMut(u64, PageState)) -> Result<(), ProcError> {
        let mut buffer = Vec::new();
        let mut address = range.start;
        while address < range.end {
            let pages = ((range.end - address) / PAGE).min(BATCH);
            match &self.file {
                None => (0..pages).for_each(|page| visit(address + page * PAGE, PageState(PRESENT))),
                Some(file) => {
                    buffer.resize((pages * 8) as usize, 0);
                    file.read_exact_at(&mut buffer, address / PAGE * 8)
                        .map_err(|error| ProcError::Read { path: self.process.path("pagemap"), error })?;
                    for (page, word) in words(&buffer).enumerate() {
                        visit(address + page as u64 * PAGE, PageState(word));
                    }
                }
            }
            address += pages * PAGE;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits() {
        assert!(PageState(PRESENT).is_private_copy());
        assert!(PageState(SWAPPED).is_private_copy());
        assert!(PageState(PRESENT | FILE_OR_SHARED).has_contents());
        assert!(PageState(PRESENT | FILE_OR_SHARED).is_of_a_file());
        assert!(!PageState(PRESENT).is_of_a_file() && !PageState(FILE_OR_SHARED).is_of_a_file());
        assert!(!PageState(PRESENT | FILE_OR_SHARED).is_private_copy());
        assert!(!PageState(0x1234).has_contents());
    }

    #[test]
    fn own_stack_page_is_private() {
        let here = 0u64;
        let page = (&raw const here as u64) & !(PAGE - 1);
        let map = Pagemap::open(Process(std::process::id() as i32)).unwrap();
        let mut seen = Vec::new();
        map.visit(page..page + PAGE, |address, state| seen.push((address, state.is_private_copy()))).unwrap();
        assert_eq!(seen, [(page, true)]);
    }

    #[test]
    fn without_a_pagemap_all_pages_count() {
        let map = Pagemap { file: None, process: Process(1) };
        let mut count = 0;
        map.visit(0x1000..0x4000, |_, state| count += u32::from(state.is_private_copy())).unwrap();
        assert_eq!(count, 3);
    }
}
