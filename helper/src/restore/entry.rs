//! The ways into the restorer's code.
//!
//! # Safety contract of this file
//! `unsafe` is used to run code that was placed in the hole, on stacks that lie there: neither thread uses memory or
//! thread-local storage of this program from then on.
#![allow(unsafe_code)]

use super::scaffold::Scaffold;
use hotfork_abi::ahead::SECOND_ENTRY;
use nix::unistd::Pid;
use std::arch::asm;
use std::io;

/// Runs the blob.
///
/// # Safety
/// The scaffold is complete: its arguments describe it and an image whose operations, patches and addresses were checked; rseq
/// is unregistered, no other thread exists but the one that `second_thread` made, and all signals are blocked.
pub unsafe fn enter(scaffold: &Scaffold) -> ! {
    let layout = scaffold.layout();
    // As right after a call: the stack pointer is 8 below a multiple of 16.
    let (stack, code) = (scaffold.at(layout.end) - 8, scaffold.at(layout.scaffold));
    // SAFETY: the blob is entered at its first byte, on its own stack, with the address of its arguments, and never returns
    // (the caller's promise covers what it does from there).
    unsafe {
        asm!("mov rsp, {stack}", "xor ebp, ebp", "cld", "jmp {code}",
            stack = in(reg) stack, code = in(reg) code, in("rdi") scaffold.at(0), options(noreturn));
    }
}

/// Makes the second thread. `tid` is where its id stands until the kernel has ended it.
///
/// # Safety
/// The scaffold's code, operations, files and `Ahead` are in place and stay until that word is 0; the operations were checked, and
/// outside of the zones the new thread maps over nothing that this process has. All signals are blocked.
pub unsafe fn second_thread(scaffold: &Scaffold, tid: u64) -> io::Result<Pid> {
    let flags = libc::CLONE_VM
        | libc::CLONE_FS
        | libc::CLONE_FILES
        | libc::CLONE_SIGHAND
        | libc::CLONE_THREAD
        | libc::CLONE_SYSVSEM
        | libc::CLONE_PARENT_SETTID
        | libc::CLONE_CHILD_CLEARTID;
    let layout = scaffold.layout();
    let (stack, code) = (scaffold.at(layout.ahead_end) - 8, scaffold.at(layout.scaffold) + SECOND_ENTRY);
    let mut result = libc::SYS_clone;
    // SAFETY: the code there makes the call and returns, with all registers but the result as they were (rcx and r11 are the
    // kernel's); the child goes on in the blob, on a stack of its own, and never comes back.
    unsafe {
        asm!("call r13", inlateout("rax") result, in("rdi") i64::from(flags), in("rsi") stack, in("rdx") tid, in("r10") tid,
            in("r8") 0, in("r12") scaffold.at(layout.ahead), in("r13") code,
            lateout("rcx") _, lateout("r11") _);
    }
    if result < 0 { Err(io::Error::from_raw_os_error(-result as i32)) } else { Ok(Pid::from_raw(result as i32)) }
}
