//! The steps of the restorer, in the order in which `restore` takes them.

use crate::numbers::*;
use crate::report::die;
use crate::sys::{self, Errno};
use hotfork_abi::PAGE;
use hotfork_abi::restore::*;

/// One page below the end of the 47-bit user address space: nothing can be mapped above it unasked.
const ADDRESS_SPACE_END: u64 = (1 << 47) - PAGE;

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

/// Unmaps from the bottom up, stepping over the hole and over host mappings that stay where they are.
pub fn unmap_all_but_the_hole(args: &RestoreArgs) {
    let mut from = 0;
    while from < ADDRESS_SPACE_END {
        let (mut keep, mut keep_end) = (ADDRESS_SPACE_END, ADDRESS_SPACE_END);
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

fn map(operation: &MapOperation, kind: u32, file: u64) {
    let flags = u64::from(operation.flags | kind | MAP_FIXED);
    let protection = u64::from(operation.protection);
    match sys::call(SYS_MMAP, [operation.address, operation.length, protection, flags, file, operation.offset]) {
        Ok(address) if address == operation.address => {}
        Ok(address) => die("mmap (placed elsewhere)", address, Errno(EEXIST)),
        Err(error) => die("mmap", operation.address, error),
    }
}

fn copy(operation: &MapOperation, file: u64) {
    let mut done = 0;
    while done < operation.length {
        match sys::call(
            SYS_PREAD64,
            [file, operation.address + done, operation.length - done, operation.offset + done, 0, 0],
        ) {
            Ok(0) => die("pread (end of file)", operation.address + done, Errno(EIO)),
            Ok(count) => done += count,
            Err(Errno(error)) if error == EINTR => {}
            Err(error) => die("pread", operation.address + done, error),
        }
    }
}

pub fn run_operations(args: &RestoreArgs) {
    // SAFETY: the helper mapped the table into the hole, with this many operations, and nothing writes to it.
    let operations =
        unsafe { core::slice::from_raw_parts(args.operations as *const MapOperation, args.operation_count as usize) };
    let mut next = 0;
    while let Some(operation) = operations.get(next) {
        if operation.operation == OP_ADVISE {
            next += advise(operations.get(next..).unwrap_or_default());
            continue;
        }
        next += 1;
        // SAFETY: `file` of an operation that uses one is below `file_count` (checked by the helper), the
        // number of entries at `files` in the hole.
        let file = || unsafe { *(args.files as *const i32).add(operation.file as usize) } as u64;
        match operation.operation {
            OP_ANONYMOUS => map(operation, MAP_PRIVATE | MAP_ANONYMOUS, u64::MAX),
            OP_PRIVATE_FILE => map(operation, MAP_PRIVATE, file()),
            OP_SHARED_FILE => map(operation, MAP_SHARED, file()),
            OP_COPY => copy(operation, file()),
            OP_PROTECT => protect(operation.address, operation.length, operation.protection),
            _ => {}
        }
    }
}

/// Ranges that are advised in one call.
const AT_ONCE: usize = 128;

/// Carries out the advice that `operations` begins with, and what follows of the same kind: one call for all is half a
/// microsecond less for each. Returns how many that were. Failure is none: pages that are not brought in now come when they are
/// written.
fn advise(operations: &[MapOperation]) -> usize {
    let kind = |one: &MapOperation| (one.operation, one.flags);
    let first = operations.first().map(kind);
    let these = || operations.iter().take(AT_ONCE).take_while(|&one| Some(kind(one)) == first);
    let (mut ranges, mut count, mut total) = ([[0; 2]; AT_ONCE], 0, 0);
    for (range, one) in ranges.iter_mut().zip(these()) {
        *range = [one.address, one.length];
        (count, total) = (count + 1, total + one.length);
    }
    let advice = first.map_or(0, |(_, advice)| u64::from(advice));
    // All advice for oneself since Linux 6.13.
    let at_once = [PIDFD_SELF_THREAD_GROUP, ranges.as_ptr() as u64, count as u64, advice, 0, 0];
    if !sys::call(SYS_PROCESS_MADVISE, at_once).is_ok_and(|advised| advised == total) {
        for one in these() {
            let _ = sys::call(SYS_MADVISE, [one.address, one.length, advice, 0, 0, 0]);
        }
    }
    count
}

fn protect(address: u64, length: u64, protection: u32) {
    if let Err(error) = sys::call(SYS_MPROTECT, [address, length, u64::from(protection), 0, 0, 0]) {
        die("mprotect", address, error);
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
    protect(start, end - start, PROT_READ | PROT_WRITE);
    for patch in patches() {
        for (index, byte) in patch.bytes.iter().take(patch.length as usize).enumerate() {
            // SAFETY: the helper checked that every patch lies in one mapped range of the image, and it
            // was just made writable. Volatile, so that no call to a copy routine comes of it.
            unsafe { ((patch.address + index as u64) as *mut u8).write_volatile(*byte) };
        }
    }
    protect(start, end - start, PROT_READ | PROT_EXEC);
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
