//! HotSpot's flags, as far as a capture depends on them.
//!
//! # Safety contract of this file
//! Reads the flag table that vmStructs names: `numFlags` rows, names and values static.
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
    // SAFETY: an intx, which is a word.
    let level = address(structs, "TieredStopAtLevel").map(|at| unsafe { read(at) });
    level.map_or(4, |level| level.min(4) as u8)
}

fn is_set(structs: &VmStructs, flag: &str) -> Option<bool> {
    // SAFETY: the callers name boolean flags, which are a byte.
    address(structs, flag).map(|at| unsafe { *(at as *const u8) != 0 })
}

/// Where the flag's value lies.
fn address(structs: &VmStructs, flag: &str) -> Option<u64> {
    let mut row = structs.value("JVMFlag", "flags")?;
    let count = structs.value("JVMFlag", "numFlags")?;
    let (name, address) = (structs.offset("JVMFlag", "_name")?, structs.offset("JVMFlag", "_addr")?);
    let size = structs.size_of("JVMFlag")?;
    for _ in 0..count {
        // SAFETY: `row` is one of the table's rows; a name is null or a static string, an address that of a static.
        unsafe {
            if string(row + name) == Some(flag) {
                return Some(read(row + address)).filter(|&at| at != 0);
            }
        }
        row += size;
    }
    None
}
