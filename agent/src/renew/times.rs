//! Where the time of a restore went: one JSON line for `restore --times FILE`.
//!
//! # Safety contract of this file
//! Takes over the one descriptor that the restore left open for this, and closes it.
#![allow(unsafe_code)]

use hotfork_abi::restore::TIME_RUNNING;
use hotfork_frozen::instance::{arguments, stamp, went_on};
use std::fs::File;
use std::io::Write;
use std::os::fd::FromRawFd;

const NAMES: [&str; 8] = ["main", "checked", "descriptors", "jump", "mapped", "threads", "renewed", "running"];

pub fn running() {
    stamp(TIME_RUNNING);
}

pub fn report() {
    let arguments = arguments();
    let Ok(descriptor) = i32::try_from(arguments.times_fd) else { return };
    if descriptor < 0 {
        return;
    }
    let mut times = arguments.times;
    // Whoever wakes them writes the time down when it has the processor again, and that may be after their first work.
    if let (Some(running), first @ 1..) = (times.get_mut(TIME_RUNNING), went_on()) {
        *running = first.min(*running);
    }
    // SAFETY: the restore left this number open for this purpose alone.
    let mut file = unsafe { File::from_raw_fd(descriptor) };
    let fields: Vec<String> = NAMES.iter().zip(times).map(|(name, time)| format!("\"{name}\":{time}")).collect();
    let line = format!("{{\"pid\":{},{}}}\n", std::process::id(), fields.join(","));
    if let Err(error) = file.write_all(line.as_bytes()) {
        crate::report::line(&format!("the times of this restore could not be written: {error}"));
    }
}
