//! HotSpot's flags, as far as a capture depends on them.
//!
//! # Safety contract of this file
//! Reads the flag table that vmStructs names: `numFlags` rows, names and values static. A flag that is written is one of
//! the few that HotSpot reads anew each time it acts on it, and gets its old value back.
#![allow(unsafe_code)]

use super::vmstructs::{VmStructs, read, string};
use crate::capture::CaptureError;

/// Which collector this JVM runs. ZGC is refused: its heap is shared memory.
pub fn collector(structs: &VmStructs) -> Result<&'static str, CaptureError> {
    const COLLECTORS: [(&str, &str); 6] = [
        ("UseZGC", "ZGC"),
        ("UseG1GC", "G1"),
        ("UseParallelGC", "Parallel"),
        ("UseSerialGC", "Serial"),
        ("UseShenandoahGC", "Shenandoah"),
        ("UseEpsilonGC", "Epsilon"),
    ];
    let name = COLLECTORS.iter().find(|(flag, _)| is_set(structs, flag) == Some(true)).map(|(_, name)| *name);
    match name {
        Some("ZGC") => Err(CaptureError::Zgc),
        Some(name) => Ok(name),
        None => Err(CaptureError::Jvm("this JVM's collector is unknown: Hotfork needs HotSpot 17, 21 or 25".into())),
    }
}

/// The last level that this JVM's compilers reach: 0 where it only interprets.
pub fn last_level(structs: &VmStructs, interpreted: bool) -> u8 {
    if interpreted {
        return 0;
    }
    let level = Flags::find(structs).and_then(|flags| flags.address("TieredStopAtLevel"));
    // SAFETY: an intx, which is a word.
    let level = level.map(|at| unsafe { read(at) });
    level.map_or(4, |level| level.min(4) as u8)
}

fn is_set(structs: &VmStructs, flag: &str) -> Option<bool> {
    Some(Flags::find(structs)?.is_set(flag))
}

/// The table of flags.
pub struct Flags {
    rows: u64,
    count: u64,
    row_size: u64,
    name: u64,
    address: u64,
}

impl Flags {
    pub fn find(structs: &VmStructs) -> Option<Self> {
        Some(Self {
            rows: structs.value("JVMFlag", "flags")?,
            count: structs.value("JVMFlag", "numFlags")?,
            row_size: structs.size_of("JVMFlag")?,
            name: structs.offset("JVMFlag", "_name")?,
            address: structs.offset("JVMFlag", "_addr")?,
        })
    }

    pub fn is_set(&self, flag: &str) -> bool {
        self.switch(flag).is_some_and(|switch| switch.is_on())
    }

    /// A boolean flag that HotSpot itself turns over; `None` where this JVM has none of that name.
    pub fn switch(&self, flag: &str) -> Option<Switch> {
        self.address(flag).map(Switch)
    }

    /// Where the flag's value lies.
    fn address(&self, flag: &str) -> Option<u64> {
        (0..self.count).map(|index| self.rows + index * self.row_size).find_map(|row| {
            // SAFETY: `row` is one of the table's rows; a name is null or a static string, an address that of a static.
            unsafe {
                let is_wanted = string(row + self.name) == Some(flag);
                is_wanted.then(|| read(row + self.address)).filter(|&at| at != 0)
            }
        })
    }

    /// Sets a flag until the result is dropped; `None` where this JVM has none of that name.
    pub fn set_bool(&self, flag: &str, value: bool) -> Option<Changed<u8>> {
        self.address(flag).map(|at| Changed::new(at, value.into()))
    }

    /// As for `set_bool`: an int or an intx, whose low half comes first, of a value that is small.
    pub fn set_integer(&self, flag: &str, value: u32) -> Option<Changed<u32>> {
        self.address(flag).map(|at| Changed::new(at, value))
    }
}

/// A boolean flag, to be looked at again and again.
pub struct Switch(u64);

impl Switch {
    pub fn is_on(&self) -> bool {
        // SAFETY: the callers name boolean flags, which are a byte; HotSpot may change it at any time.
        unsafe { (self.0 as *const u8).read_volatile() != 0 }
    }
}

/// A flag that gets its old value back.
pub struct Changed<T: Copy> {
    at: u64,
    old: T,
}

impl<T: Copy> Changed<T> {
    fn new(at: u64, value: T) -> Self {
        // SAFETY: the flag's own static, aligned and of this size or larger; HotSpot reads it whole at any time.
        unsafe {
            let old = (at as *const T).read_volatile();
            (at as *mut T).write_volatile(value);
            Self { at, old }
        }
    }
}

impl<T: Copy> Drop for Changed<T> {
    fn drop(&mut self) {
        // SAFETY: as in `new`.
        unsafe { (self.at as *mut T).write_volatile(self.old) }
    }
}
