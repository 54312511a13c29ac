//! The code cache, read while HotSpot works on it: of which tier the code at an address is, and how many methods are
//! compiled for good.
//!
//! # Safety contract of this file
//! Everything is read between the bounds that a code heap has committed, which never shrinks (CodeHeap::expand_by);
//! its segment map is committed along with it. What lies there may change under the reader: lengths are bounded, and the
//! one pointer that is followed, a blob's name, must point into libjvm's own constants.
#![allow(unsafe_code)]

use super::vmstructs::{VmStructs, read};
use super::{Mapping, code_layout};
use hotfork_abi::record::CodeLayout;
use std::ffi::{CStr, c_char};

const SEGMENT_FREE: u8 = 0xff;
const SIMPLE: u8 = 1;
const FULL_OPTIMIZATION: u8 = 4;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Code {
    Interpreter,
    /// HotSpot's compilation level, 1 to 4.
    Compiled(u8),
    /// Stubs, adapters, native wrappers.
    Other,
}

pub struct CodeCache {
    layout: CodeLayout,
    header: u64,
    name: u64,
    level: u64,
    level_is_byte: bool,
    /// libjvm's mappings that hold constants.
    constants: Vec<(u64, u64)>,
    /// The last level that this JVM compiles to; 0 where it only interprets.
    last_level: u8,
}

impl CodeCache {
    /// `None` where this JVM does not describe its code cache as 17, 21 and 25 do.
    pub fn find(structs: &VmStructs, maps: &[Mapping], last_level: u8) -> Option<Self> {
        let is_constant = |mapping: &&Mapping| !mapping.writable && mapping.path.ends_with("/libjvm.so");
        Some(Self {
            layout: code_layout::find(structs)?,
            header: structs.size_of("HeapBlock")?,
            name: structs.offset("CodeBlob", "_name")?,
            level: structs.offset("nmethod", "_comp_level")?,
            level_is_byte: structs.field_type("nmethod", "_comp_level")? != "int",
            constants: maps.iter().filter(is_constant).map(|mapping| (mapping.from, mapping.to)).collect(),
            last_level,
        })
    }

    fn heaps(&self) -> impl Iterator<Item = u64> {
        self.layout.heaps.into_iter().take(self.layout.heap_count as usize)
    }

    /// What the code at `pc` is, `None` outside the code cache.
    pub fn code_at(&self, pc: u64) -> Option<Code> {
        self.heaps().find_map(|heap| {
            let (low, high) = self.bounds(heap);
            // SAFETY: a code heap's own field.
            let log2 = unsafe { *((heap + self.layout.log2_segment) as *const i32) };
            (low..high).contains(&pc).then(|| self.blob_of(heap, (pc - low) >> log2, (low, high), log2))
        })
    }

    /// Whether code of this kind is what stays when everything has been compiled.
    pub fn is_final(&self, code: Code) -> bool {
        match code {
            Code::Interpreter => self.last_level == 0,
            Code::Compiled(level) => level == SIMPLE || level == self.last_level || level == FULL_OPTIMIZATION,
            Code::Other => true,
        }
    }

    /// How many methods of the last level there are.
    pub fn hot_methods(&self) -> u32 {
        self.heaps().map(|heap| self.hot_methods_of(heap)).sum()
    }

    fn hot_methods_of(&self, heap: u64) -> u32 {
        let (low, high) = self.bounds(heap);
        // SAFETY: a code heap's own field.
        let log2 = unsafe { *((heap + self.layout.log2_segment) as *const i32) };
        let (mut block, mut count) = (low, 0);
        while block + self.header <= high {
            // SAFETY: blocks follow each other from `low`; `block` is within what is committed.
            let (length, used) = unsafe {
                let at = block + self.layout.length;
                let length = if self.layout.length_size == 8 { read(at) } else { u64::from(*(at as *const u32)) };
                (length, *((block + self.layout.used) as *const u8) != 0)
            };
            if length == 0 || length > (high - low) >> log2 {
                break;
            }
            if used && self.what(block + self.header, high) == Code::Compiled(self.last_level) {
                count += 1;
            }
            block += length << log2;
        }
        count
    }

    fn bounds(&self, heap: u64) -> (u64, u64) {
        // SAFETY: two words of a code heap, which lives as long as the JVM.
        unsafe { (read(heap + self.layout.low), read(heap + self.layout.high)) }
    }

    /// The block that a segment belongs to: the map says how far back its beginning is, in steps of 254 at most.
    fn blob_of(&self, heap: u64, segment: u64, (low, high): (u64, u64), log2: i32) -> Code {
        // SAFETY: the map has a byte for each segment of what is committed, and `segment` is one of them.
        let map = unsafe { read(heap + self.layout.segment_map) };
        let mut at = segment;
        loop {
            // SAFETY: as above; `at` only falls, and stays at 0 or more.
            let back = unsafe { *((map + at) as *const u8) };
            match back {
                0 => break,
                // Free, or changing.
                _ if back == SEGMENT_FREE || u64::from(back) > at => return Code::Other,
                _ => at -= u64::from(back),
            }
        }
        let block = low + (at << log2);
        // SAFETY: the first byte of a block's header says whether it is used.
        match unsafe { *((block + self.layout.used) as *const u8) } {
            0 => Code::Other,
            _ => self.what(block + self.header, high),
        }
    }

    fn what(&self, blob: u64, high: u64) -> Code {
        if blob + self.name.max(self.level) + 8 > high {
            return Code::Other;
        }
        // SAFETY: name and level lie below the heap's committed end.
        let name = unsafe { read(blob + self.name) };
        if !self.constants.iter().any(|&(from, to)| (from..to).contains(&name)) {
            return Code::Other;
        }
        // SAFETY: names of blobs are string constants of libjvm, and this pointer is within its constants.
        match unsafe { CStr::from_ptr(name as *const c_char) }.to_bytes() {
            b"Interpreter" => Code::Interpreter,
            b"nmethod" => {
                let at = blob + self.level;
                // SAFETY: a blob of this name is an nmethod, which has a level of this size.
                let level = unsafe { if self.level_is_byte { *(at as *const u8) } else { *(at as *const u32) as u8 } };
                Code::Compiled(level)
            }
            _ => Code::Other,
        }
    }
}
