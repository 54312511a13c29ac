//! File names that HotSpot unlinks at exit, and those it announces itself by.
//!
//! # Safety contract of this file
//! Writes into HotSpot's own C string, whose capacity the capture recorded; HotSpot reads it at exit only.
#![allow(unsafe_code)]

use crate::hotspot::AttachPath;
use hotfork_abi::record::PerfMemory;
use hotfork_abi::restore::InstanceArgs;

pub fn renew(arguments: &InstanceArgs, attach: Option<AttachPath>, perf: &PerfMemory) {
    if let Some(path) = attach {
        path.clear();
    }
    let name = arguments.perf_name.as_str();
    let address = perf.name;
    if address != 0 && (name.len() as u64) < perf.name_capacity {
        // SAFETY: `capacity` bytes belong to the string; name and NUL fit.
        unsafe {
            std::ptr::copy_nonoverlapping(name.as_ptr(), address as *mut u8, name.len());
            *((address + name.len() as u64) as *mut u8) = 0;
        }
    }
}
