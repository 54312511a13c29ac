//! The `hotfork` executable. It ends in one place: here.
//!
//! # Safety contract of this file
//! `main` is C's: Rust's own start-up reads /proc/self/maps and makes a signal stack, which a restore pays for and
//! nothing here needs. What else it does, `main` does itself: it reads its arguments (musl would not tell Rust of them),
//! ignores SIGPIPE and opens descriptors 0 to 2.
#![no_main]
#![allow(unsafe_code)]

use dlmalloc::GlobalDlmalloc;
use hotfork_helper::cli::{Cli, told};
use hotfork_helper::exit::ExitCode;
use hotfork_helper::restore::start::Start;
use hotfork_helper::{descriptors, say, verbs};
use std::ffi::{CStr, OsStr, OsString, c_char, c_int};
use std::os::unix::ffi::OsStrExt;

#[global_allocator]
static ALLOCATOR: GlobalDlmalloc = GlobalDlmalloc;

/// # Safety
/// Called by libc's start-up code, once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(count: c_int, arguments: *const *const c_char) -> c_int {
    let arguments: Vec<OsString> = (0..count as usize)
        .map(|index| {
            // SAFETY: libc passes `count` strings, which live as long as the process.
            let argument = unsafe { CStr::from_ptr(*arguments.add(index)) };
            OsStr::from_bytes(argument.to_bytes()).to_owned()
        })
        .collect();
    // First of all: what becomes a JVM must not die of a signal that the JVM would have handled.
    let start = Start::now(arguments.get(1).is_some_and(|verb| verb == "restore" || verb == "run"));
    // SAFETY: no other thread, and no handler that this replaces.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    if let Err(failure) = descriptors::occupy_standard() {
        say::line(&failure.message);
        return failure.code as c_int;
    }
    let status = match Cli::read(arguments) {
        Ok(cli) => match verbs::run(cli.verb, start) {
            Ok(status) => status,
            Err(failure) => {
                say::line(&failure.message);
                failure.code as i32
            }
        },
        Err(usage) if usage.use_stderr() => {
            say::line(&told(&usage));
            ExitCode::Usage as i32
        }
        Err(help) => {
            print!("{help}");
            0
        }
    };
    std::process::exit(status)
}
