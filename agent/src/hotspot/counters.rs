//! HotSpot's performance counters (jvmstat), read in place.
//!
//! # Safety contract of this file
//! The performance memory is mapped for the life of the JVM, and entries are only ever added (perfMemory.hpp:
//! PerfDataPrologue, PerfDataEntry). Counters are aligned words that HotSpot updates without a lock.
#![allow(unsafe_code)]

use super::vmstructs::{VmStructs, read};
use std::ffi::{CStr, c_char};

const ENTRY_OFFSET: u64 = 24;
const ENTRY_COUNT: u64 = 28;
const NAME_OFFSET: u64 = 4;
const DATA_OFFSET: u64 = 16;

/// One counter.
pub struct Counter(u64);

impl Counter {
    /// `None` with -XX:-UsePerfData, and where this JVM has none of that name.
    pub fn find(structs: &VmStructs, name: &CStr) -> Option<Self> {
        counter(structs.value("PerfMemory", "_start")?, name).map(Self)
    }

    pub fn value(&self) -> u64 {
        // SAFETY: the address of a counter.
        unsafe { read(self.0) }
    }
}

/// Counters that together count loaded classes: those from class files, and those from the CDS archive.
pub struct ClassCounters(Vec<Counter>);

impl ClassCounters {
    /// `None` with -XX:-UsePerfData.
    pub fn find(structs: &VmStructs) -> Option<Self> {
        let names = [c"java.cls.loadedClasses", c"java.cls.sharedLoadedClasses"];
        let found: Vec<Counter> = names.into_iter().filter_map(|name| Counter::find(structs, name)).collect();
        (!found.is_empty()).then_some(Self(found))
    }

    pub fn loaded(&self) -> u64 {
        self.0.iter().map(Counter::value).sum()
    }
}

fn counter(start: u64, wanted: &CStr) -> Option<u64> {
    // SAFETY: the prologue says where the entries are and how many; each says how long it is, and where its name and
    // its value lie.
    unsafe {
        let number = |at: u64| u64::from(*(at as *const u32));
        let mut entry = start + number(start + ENTRY_OFFSET);
        for _ in 0..number(start + ENTRY_COUNT) {
            let name = CStr::from_ptr((entry + number(entry + NAME_OFFSET)) as *const c_char);
            if name == wanted {
                return Some(entry + number(entry + DATA_OFFSET));
            }
            entry += number(entry).max(1);
        }
    }
    None
}
