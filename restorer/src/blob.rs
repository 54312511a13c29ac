//! The restorer: copied into a range that is free in both the helper and the image, it unmaps what is in the
//! image's way, maps the image, and jumps into it.
//!
//! # Safety contract of this program
//! It runs on stacks of its own inside the hole, with all signals blocked, no FS base that it may use, and (from the first
//! unmap on) no memory but the hole. It therefore refers to
//! nothing outside itself and [`RestoreArgs`], which the helper has checked: every address in it is
//! page-aligned, no operation touches the hole, every file index has a descriptor.
#![no_std]
#![no_main]
#![deny(unsafe_op_in_unsafe_fn)]

mod ahead;
mod numbers;
mod operations;
mod report;
mod steps;
mod sys;

use ahead::Shared;
use hotfork_abi::restore::{RestoreArgs, TIME_MAPPED};

// Two entries, `hotfork_abi::ahead::SECOND_ENTRY` apart. At the second one the helper calls clone(2), with everything in the call's
// registers and the address of the `Ahead` in r12: the new thread may begin when nothing is left of the helper's own code.
core::arch::global_asm!(
    ".pushsection .text.entry, \"ax\"",
    "jmp restore",
    ".balign {second}",
    "syscall",
    "test rax, rax",
    "jz 2f",
    "ret",
    "2:",
    "xor ebp, ebp",
    "mov rdi, r12",
    "jmp ahead",
    ".popsection",
    second = const hotfork_abi::ahead::SECOND_ENTRY,
);

/// From the entry at offset 0 of the blob: `rdi` holds the address of the `RestoreArgs`.
///
/// # Safety
/// See the contract of this program.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn restore(args: *mut RestoreArgs) -> ! {
    // SAFETY: the helper hands over the only pointer to a RestoreArgs that lies in the hole, which
    // none of the steps unmaps.
    let args = unsafe { &mut *args };
    steps::move_host_mappings(args);
    // SAFETY: as for the arguments.
    let shared = unsafe { Shared::at(args.ahead) };
    shared.first(|zones| steps::unmap_zones(args, zones), || steps::prepare(args));
    steps::map_last(args, &shared);
    steps::write_patches(args);
    steps::set_memory_map(args);
    steps::close_descriptors(args);
    args.instance.times[TIME_MAPPED] = sys::monotonic_now();
    let (instance, entry, stack) = (&raw mut args.instance, args.entry, args.stack);
    // SAFETY: the image is mapped: `entry` is the agent's instance entry and `stack` the top of the
    // stack it reserved, both from the digest-checked manifest of this very image.
    unsafe { sys::jump(entry, stack, instance as u64) }
}

/// The second thread: `rdi` holds the address of the `Ahead`.
///
/// # Safety
/// See the contract of this program.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ahead(ahead: u64) -> ! {
    // SAFETY: the helper hands over the address of the restore's only `Ahead`.
    unsafe { Shared::at(ahead) }.second();
    sys::exit_thread()
}

#[panic_handler]
fn unreachable_panic(_: &core::panic::PanicInfo) -> ! {
    sys::exit(hotfork_abi::restore::EXIT_AFTER_UNMAP)
}
