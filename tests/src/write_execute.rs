//! Commands in whose processes written memory may not become executable, as systemd's MemoryDenyWriteExecute= has it.
//!
//! # Safety contract of this file
//! `unsafe` runs one system call between fork and exec of a process under test; it touches no memory but its own stack.
#![allow(unsafe_code)]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

const PR_SET_MDWE: i32 = 65;
const PR_GET_MDWE: i32 = 66;
const PR_MDWE_REFUSE_EXEC_GAIN: libc::c_ulong = 1;

/// Since Linux 6.3.
pub fn can_be_denied() -> bool {
    // SAFETY: reads a flag of this process.
    unsafe { libc::prctl(PR_GET_MDWE, 0, 0, 0, 0) >= 0 }
}

pub fn deny(command: &mut Command) {
    let deny = || {
        // SAFETY: sets a flag of the process that is about to exec, which keeps it.
        match unsafe { libc::prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    // SAFETY: the closure makes one system call, and allocates nothing.
    unsafe { command.pre_exec(deny) };
}
