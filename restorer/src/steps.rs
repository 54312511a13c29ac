//! The steps of the restorer, in the order in which `restore` takes them.

use crate::ahead::Shared;
use crate::numbers::*;
use crate::operations::protect;
use crate::report::die;
use crate::sys;
use hotfork_abi::PAGE;
use hotfork_abi::restore::*;

pub fn move_host_mappings(args: &RestoreArgs) {
    for mapping in args.host_mappings.iter().take(args.host_mapping_count as usize) {
        if mapping.from == mapping.to {
            continue;
        }
        let flags = MREMAP_MAYMOVE | MREMAP_FIXED;
        if let Err(error) = sys::call(SYS_MREMAP, [mapping.from, mapping.length, mapping.length, flags, mapping.to, 0])
        {
            die("mremap of the vdso", mapping.from, error);
        }
    }
}

/// Unmaps what lies in the zones, from the bottom up, stepping over the hole and over host mappings that stay where they are.
pub fn unmap_zones(args: &RestoreArgs, zones: &[[u64; 2]]) {
    for &[start, end] in zones {
        unmap_all_but_what_stays(args, start, end);
    }
}

fn unmap_all_but_what_stays(args: &RestoreArgs, start: u64, end: u64) {
    let mut from = start;
    while from < end {
        let (mut keep, mut keep_end) = (end, end);
        if args.hole >= from && args.hole < keep {
            (keep, keep_end) = (args.hole, args.hole + args.hole_length);
        }
        for mapping in args.host_mappings.iter().take(args.host_mapping_count as usize) {
            if mapping.from == mapping.to && mapping.from >= from && mapping.from < keep {
                (keep, keep_end) = (mapping.from, mapping.from + mapping.length);
            }
        }
        if keep > from
            && let Err(error) = sys::call(SYS_MUNMAP, [from, keep - from, 0, 0, 0, 0])
        {
            die("munmap", from, error);
        }
        from = keep_end;
    }
}

/// Has the image prepare itself for threads, which this thread then makes, and the second one.
pub fn prepare(args: &RestoreArgs) {
    // SAFETY: the image is mapped, and `prepare` is the agent's function of this type, from the digest-checked manifest of this
    // very image. It needs no thread-local storage.
    let prepare: extern "C" fn(*const InstanceArgs) = unsafe { core::mem::transmute(args.prepare) };
    prepare(&raw const args.instance);
}

/// What the first thread alone maps.
pub fn map_last(args: &RestoreArgs, shared: &Shared) {
    if let Err(failed) = shared.operations().carry_out(&args.last) {
        failed.die();
    }
}

fn protect_or_die(address: u64, length: u64, protection: u32) {
    if let Err(failed) = protect(address, length, protection) {
        failed.die();
    }
}

/// Overwrites the entry points of the image's vdso, which is ordinary memory of the image.
pub fn write_patches(args: &RestoreArgs) {
    let patches = || args.patches.iter().take(args.patch_count as usize);
    let (mut start, mut end) = (u64::MAX, 0);
    for patch in patches() {
        start = start.min(patch.address & !(PAGE - 1));
        end = end.max((patch.address + patch.length + PAGE - 1) & !(PAGE - 1));
    }
    if start >= end {
        return;
    }
    protect_or_die(start, end - start, PROT_READ | PROT_WRITE);
    for patch in patches() {
        for (index, byte) in patch.bytes.iter().take(patch.length as usize).enumerate() {
            // SAFETY: the helper checked that every patch lies in one mapped range of the image, and it
            // was just made writable. Volatile, so that no call to a copy routine comes of it.
            unsafe { ((patch.address + index as u64) as *mut u8).write_volatile(*byte) };
        }
    }
    protect_or_die(start, end - start, PROT_READ | PROT_EXEC);
}

/// Tells the kernel where break, arguments and environment are. Where that is refused (gVisor),
/// glibc must at least know the true break, or malloc's next growth of the main arena crashes.
pub fn set_memory_map(args: &mut RestoreArgs) {
    let set = sys::call(
        SYS_PRCTL,
        [PR_SET_MM, PR_SET_MM_MAP, (&raw const args.memory_map) as u64, size_of::<MemoryMap>() as u64, 0, 0],
    );
    let Err(refusal) = set else {
        args.instance.brk_set = 1;
        return;
    };
    args.instance.brk_set = 0;
    if args.curbrk == 0 {
        die("prctl(PR_SET_MM_MAP), and __curbrk is unknown,", args.memory_map.brk, refusal);
    }
    match sys::call(SYS_BRK, [0; 6]) {
        // SAFETY: __curbrk is a variable of the image's glibc, in a writable range that is mapped by now.
        Ok(now) => unsafe { (args.curbrk as *mut u64).write_volatile(now) },
        Err(error) => die("brk", 0, error),
    }
}

/// Closes what is the helper's, all but the descriptor for the times.
pub fn close_descriptors(args: &RestoreArgs) {
    let last = u64::from(u32::MAX);
    let close = |from: u64, to: u64| {
        if from <= to
            && let Err(error) = sys::call(SYS_CLOSE_RANGE, [from, to, 0, 0, 0, 0])
        {
            die("close_range", from, error);
        }
    };
    if args.instance.times_fd < args.close_from as i64 {
        return close(args.close_from, last);
    }
    let kept = args.instance.times_fd as u64;
    if kept > args.close_from {
        close(args.close_from, kept - 1);
    }
    close(kept + 1, last);
}
