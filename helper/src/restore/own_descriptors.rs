//! Puts a descriptor of the helper's at a number of the image's.
//!
//! # Safety contract of this file
//! `unsafe` is used for dup3 to a number that the rebuilt table occupies and that no owned descriptor
//! of this process has: the helper's own were lifted above the table.
#![allow(unsafe_code)]

use crate::image::manifest::Number;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

pub fn place(descriptor: BorrowedFd, number: &Number) -> io::Result<()> {
    let flags = if number.close_on_exec { libc::O_CLOEXEC } else { 0 };
    // SAFETY: `number` comes from the rebuilt table, so what it closes is the table's stand-in.
    match unsafe { libc::dup3(descriptor.as_raw_fd(), number.fd, flags) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
