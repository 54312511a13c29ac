//! The restorer: copied into a range that is free in both the helper and the image, it unmaps all
//! else, maps the image, and jumps into it.
//!
//! # Safety contract of this program
//! It runs on a stack of its own inside the hole, with all signals blocked, one thread, no FS base
//! that it may use, and (from the first unmap on) no memory but the hole. It therefore refers to
//! nothing outside itself and [`RestoreArgs`], which the helper has checked: every address in it is
//! page-aligned, no operation touches the hole, every file index has a descriptor.
#![no_std]
#![no_main]
#![deny(unsafe_op_in_unsafe_fn)]

mod numbers;
mod report;
mod steps;
mod sys;

use hotfork_abi::restore::{RestoreArgs, TIME_MAPPED};

/// Entry, at offset 0 of the blob: `rdi` holds the address of the `RestoreArgs`.
///
/// # Safety
/// See the contract of this program.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".text.entry")]
pub unsafe extern "C" fn restore(args: *mut RestoreArgs) -> ! {
    // SAFETY: the helper hands over the only pointer to a RestoreArgs that lies in the hole, which
    // none of the steps unmaps.
    let args = unsafe { &mut *args };
    steps::move_host_mappings(args);
    steps::unmap_all_but_the_hole(args);
    steps::run_operations(args);
    steps::write_patches(args);
    steps::set_memory_map(args);
    steps::close_descriptors(args);
    args.instance.times[TIME_MAPPED] = sys::monotonic_now();
    let (instance, entry, stack) = (&raw mut args.instance, args.entry, args.stack);
    // SAFETY: the image is mapped: `entry` is the agent's instance entry and `stack` the top of the
    // stack it reserved, both from the digest-checked manifest of this very image.
    unsafe { sys::jump(entry, stack, instance as u64) }
}

#[panic_handler]
fn unreachable_panic(_: &core::panic::PanicInfo) -> ! {
    sys::exit(hotfork_abi::restore::EXIT_AFTER_UNMAP)
}
