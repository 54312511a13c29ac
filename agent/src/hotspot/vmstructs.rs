//! HotSpot's own description of its structures: the `gHotSpotVM*` tables that libjvm exports for the
//! serviceability agent (names and layout stable over 17, 21 and 25).
//!
//! # Safety contract of this file
//! Tables and the statics they name live as long as libjvm, which is never unloaded. They are read
//! only, after VMInit, when the tables are complete.
#![allow(unsafe_code)]

use super::libjvm::exported;
use std::ffi::{CStr, c_char};

pub struct VmStructs {
    table: u64,
    stride: u64,
    type_name: u64,
    field_name: u64,
    offset: u64,
    address: u64,
    type_string: u64,
    types: u64,
    types_stride: u64,
    types_name: u64,
    types_size: u64,
}

impl VmStructs {
    pub fn open() -> Option<Self> {
        let word = |symbol: &str| {
            // SAFETY: each of these exported symbols is one 8-byte word.
            exported(symbol).map(|address| unsafe { *(address as *const u64) })
        };
        Some(Self {
            table: word("gHotSpotVMStructs")?,
            stride: word("gHotSpotVMStructEntryArrayStride")?,
            type_name: word("gHotSpotVMStructEntryTypeNameOffset")?,
            field_name: word("gHotSpotVMStructEntryFieldNameOffset")?,
            offset: word("gHotSpotVMStructEntryOffsetOffset")?,
            address: word("gHotSpotVMStructEntryAddressOffset")?,
            type_string: word("gHotSpotVMStructEntryTypeStringOffset")?,
            types: word("gHotSpotVMTypes")?,
            types_stride: word("gHotSpotVMTypeEntryArrayStride")?,
            types_name: word("gHotSpotVMTypeEntryTypeNameOffset")?,
            types_size: word("gHotSpotVMTypeEntrySizeOffset")?,
        })
    }

    fn entry(&self, type_name: &str, field: &str) -> Option<u64> {
        let mut entry = self.table;
        loop {
            // SAFETY: the table ends with an entry whose names are null, which ends the walk.
            let (this_type, this_field) = unsafe { (string(entry + self.type_name), string(entry + self.field_name)) };
            let (this_type, this_field) = (this_type?, this_field?);
            if this_type == type_name && this_field == field {
                return Some(entry);
            }
            entry += self.stride;
        }
    }

    /// Offset of a field in its structure.
    pub fn offset(&self, type_name: &str, field: &str) -> Option<u64> {
        // SAFETY: the entry is a row of the table; the word at `offset` of it is the field's offset.
        self.entry(type_name, field).map(|entry| unsafe { read(entry + self.offset) })
    }

    /// Address of a static field.
    pub fn address(&self, type_name: &str, field: &str) -> Option<u64> {
        // SAFETY: as for `offset`; the word holds the static's address.
        self.entry(type_name, field).map(|entry| unsafe { read(entry + self.address) }).filter(|&address| address != 0)
    }

    /// Value of a static pointer or word.
    pub fn value(&self, type_name: &str, field: &str) -> Option<u64> {
        // SAFETY: the address is that of a static of libjvm, of at least a word (the callers name pointers only).
        self.address(type_name, field).map(|address| unsafe { read(address) }).filter(|&value| value != 0)
    }

    /// A field's type, as HotSpot's sources write it.
    pub fn field_type(&self, type_name: &str, field: &str) -> Option<&'static str> {
        // SAFETY: as for `offset`; the word holds a static string's address.
        self.entry(type_name, field).and_then(|entry| unsafe { string(entry + self.type_string) })
    }

    pub fn size_of(&self, type_name: &str) -> Option<u64> {
        let mut entry = self.types;
        loop {
            // SAFETY: the type table ends with a null name as well.
            let name = unsafe { string(entry + self.types_name) }?;
            if name == type_name {
                // SAFETY: the word at this place of a row is the type's size.
                return Some(unsafe { read(entry + self.types_size) });
            }
            entry += self.types_stride;
        }
    }

    /// The reserved Java heap, `(from, to)`.
    pub fn java_heap(&self) -> Option<(u64, u64)> {
        let heap = self.value("Universe", "_collectedHeap")?;
        let region = heap + self.offset("CollectedHeap", "_reserved")?;
        // SAFETY: `_reserved` is a MemRegion within the live heap object: a start and a size in words.
        let (start, words) = unsafe {
            (read(region + self.offset("MemRegion", "_start")?), read(region + self.offset("MemRegion", "_word_size")?))
        };
        Some((start, start + words * 8))
    }

    /// Addresses of the code heaps, which are made at VM start.
    pub fn code_heaps(&self) -> Option<Vec<u64>> {
        let array = self.value("CodeCache", "_heaps")?;
        let length = self.offset("GrowableArrayBase", "_len")?;
        let data = self.offset("GrowableArray<int>", "_data")?;
        // SAFETY: the array of code heaps never changes; a heap is a pointer each.
        unsafe {
            let count = *((array + length) as *const i32);
            let data = read(array + data);
            Some((0..count.clamp(0, 8) as u64).map(|index| read(data + 8 * index)).collect())
        }
    }

    pub fn code_cache(&self) -> Option<(u64, u64)> {
        Some((self.value("CodeCache", "_low_bound")?, self.value("CodeCache", "_high_bound")?))
    }
}

/// # Safety
/// `address` holds a readable word.
pub unsafe fn read(address: u64) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { (address as *const u64).read_unaligned() }
}

/// # Safety
/// `address` holds a pointer that is null or points to a C string that lives as long as libjvm.
pub unsafe fn string<'a>(address: u64) -> Option<&'a str> {
    // SAFETY: the caller's promise, for the pointer and for the string.
    unsafe {
        let pointer = read(address) as *const c_char;
        if pointer.is_null() { None } else { CStr::from_ptr(pointer).to_str().ok() }
    }
}
