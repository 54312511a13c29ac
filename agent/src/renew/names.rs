//! File names that HotSpot unlinks at exit, and those it announces itself by.
//!
//! # Safety contract of this file
//! Writes into HotSpot's own C string, whose capacity the capture recorded; HotSpot reads it at exit only.
#![allow(unsafe_code)]

use crate::hotspot::AttachPath;
use crate::jvm::Jvm;
use hotfork_abi::restore::InstanceArgs;

/// Address and capacity of hsperfdata's file name, 0 when there is none.
pub fn perf_name(jvm: &Jvm) -> (u64, u64) {
    crate::hotspot::facts(jvm).map_or((0, 0), |facts| (facts.perf.name, facts.perf.name_capacity))
}

pub fn renew(arguments: &InstanceArgs, attach: Option<AttachPath>, (address, capacity): (u64, u64)) {
    if let Some(path) = attach {
        path.clear();
    }
    let name = arguments.perf_name.as_str();
    if address != 0 && (name.len() as u64) < capacity {
        // SAFETY: `capacity` bytes belong to the string; name and NUL fit.
        unsafe {
            std::ptr::copy_nonoverlapping(name.as_ptr(), address as *mut u8, name.len());
            *((address + name.len() as u64) as *mut u8) = 0;
        }
    }
}
