//! The template: the forked child, one thread without libc, that serves the helper.
//!
//! # Safety contract of this file
//! `prepare` runs in the capturing thread before the fork. Everything else runs in the child, which
//! has one thread, on a static stack; so the statics here have one user at any time.
#![allow(unsafe_code)]

use crate::socket::{receive, send};
use crate::syscall::{
    KernelSigaction, call, close, close_range, exit_group, futex_wake_all, get_sigaction, open, prctl_number, write,
};
use crate::{Errno, clock};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU32, Ordering::SeqCst};
use hotfork_abi::record::CaptureRecord;
use hotfork_abi::template::{END, EQUAL_PAGES, PROTECT, Range, Reply, Request, SCAN_PAGES, UP, Up, WRITE};
use hotfork_abi::{ABI_VERSION, HUGE_PAGE, PAGE, Plain};
use linux_raw_sys::general as nr;
use linux_raw_sys::prctl::{PR_SET_DUMPABLE, PR_SET_NAME};

pub(crate) struct Static<T>(UnsafeCell<T>);
// SAFETY: see the file's contract: one user at any time.
unsafe impl<T> Sync for Static<T> {}
impl<T> Static<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    pub(crate) const fn get(&self) -> *mut T {
        self.0.get()
    }
}

const STACK: usize = 64 * 1024;
const EINVAL: i32 = 22;
const EIO: i32 = 5;

#[repr(C, align(64))]
struct Stack([u8; STACK]);

static ENTRY_STACK: Static<Stack> = Static::new(Stack([0; STACK]));
static CONTROL: AtomicU32 = AtomicU32::new(0);
static SHARED: Static<u64> = Static::new(0);
static REQUEST: Static<[u8; size_of::<Request>()]> = Static::new([0; size_of::<Request>()]);
static REPLY: Static<Reply> = Static::new(Reply {
    kind: 0,
    errno: 0,
    failed: 0,
    zero: [0; SCAN_PAGES as usize / 64],
    equal: [0; SCAN_PAGES as usize / 64],
});
static EMPTY_RECORD: CaptureRecord = {
    // SAFETY: all bits zero is a valid value of this `Plain` structure.
    unsafe { core::mem::zeroed() }
};

/// What the template says about itself; lies in the image.
pub(crate) static RECORD: Static<CaptureRecord> = Static::new(EMPTY_RECORD);
pub(crate) static SIGACTIONS: Static<[KernelSigaction; 64]> =
    Static::new([KernelSigaction { handler: 0, flags: 0, restorer: 0, mask: 0 }; 64]);

pub(crate) fn prepare(record: CaptureRecord, control: i32, shared: u64) {
    CONTROL.store(control as u32, SeqCst);
    // SAFETY: the capturing thread is the only user before the fork.
    unsafe {
        *SHARED.get() = shared;
        *RECORD.get() = record;
        (*RECORD.get()).instance_prepare = crate::instance::instance_prepare as *const () as u64;
        (*RECORD.get()).instance_others = crate::revival::instance_others as *const () as u64;
        (*RECORD.get()).instance_entry = crate::instance::instance_entry as *const () as u64;
        (*RECORD.get()).entry_stack = stack_top();
        let [.., first, second] = &mut (*RECORD.get()).written;
        (*first, *second) = (crate::instance::word(), crate::clock::word());
    }
}

/// 16-byte aligned top of the stack on which a template, and later an instance, starts.
pub fn stack_top() -> u64 {
    ENTRY_STACK.get() as u64 + STACK as u64 - 64
}

/// First code of the child. Never returns.
pub extern "C" fn template_main() -> ! {
    let control = CONTROL.load(SeqCst) as i32;
    if control > 0 {
        let _ = close_range(0, control as u32 - 1, 0);
    }
    let _ = close_range(control as u32 + 1, u32::MAX, 0);
    own_performance_memory();
    tell_the_jvm();
    // SAFETY: the child's only thread uses the record.
    clock::replace(unsafe { &mut (*RECORD.get()).jvm_clock });
    let _ = prctl_number(PR_SET_NAME, c"hotfork-image".as_ptr() as u64);
    // A JVM that is not dumpable has a /proc that an ordinary user's helper cannot read.
    let _ = prctl_number(PR_SET_DUMPABLE, 1);
    be_killed_first();
    for signal in 1..=64 {
        // SAFETY: the child's only thread writes, within the array.
        if let Some(action) = unsafe { (*SIGACTIONS.get()).get_mut(signal as usize - 1) } {
            let _ = get_sigaction(signal, action);
        }
    }
    let up = Up {
        kind: UP,
        abi_version: ABI_VERSION,
        record: RECORD.get() as u64,
        record_size: size_of::<CaptureRecord>() as u64,
    };
    if send(control, up.as_bytes(), &[]).is_ok() {
        serve(control);
    }
    exit_group(0)
}

/// hsperfdata is a MAP_SHARED file: the JVM goes on writing it. Replaces the mapping by a private copy.
fn own_performance_memory() {
    // SAFETY: the child's only thread reads the record.
    let (address, length) = unsafe { ((*RECORD.get()).perf.address, (*RECORD.get()).perf.length) };
    if address == 0 {
        return;
    }
    let flags = nr::MAP_PRIVATE | nr::MAP_ANONYMOUS;
    let protection = nr::PROT_READ | nr::PROT_WRITE;
    // SAFETY: a new anonymous mapping at an address that the kernel chooses.
    let copy = unsafe { call(nr::__NR_mmap, [0, length, protection.into(), flags.into(), u64::MAX, 0]) };
    let Ok(copy) = copy else { exit_group(1) };
    // SAFETY: both ranges are mapped, `length` bytes each, and apart; then the copy moves over the
    // original's place, which nothing but HotSpot's counters points into.
    let moved = unsafe {
        core::ptr::copy_nonoverlapping(address as *const u8, copy as *mut u8, length as usize);
        let flags = nr::MREMAP_MAYMOVE | nr::MREMAP_FIXED;
        call(nr::__NR_mremap, [copy, length, length, flags.into(), address, 0])
    };
    if moved.is_err() {
        exit_group(1)
    }
}

/// Descriptors are closed, shared memory is private: the JVM may go on.
fn tell_the_jvm() {
    // SAFETY: the shared page is mapped until the munmap below; only its first word is used.
    unsafe {
        let shared = *SHARED.get();
        let word = AtomicU32::from_ptr(shared as *mut u32);
        word.store(1, SeqCst);
        futex_wake_all(word, true);
        let _ = call(nr::__NR_munmap, [shared, PAGE, 0, 0, 0, 0]);
    }
}

/// The application must never be the one that is killed for its template's memory.
fn be_killed_first() {
    if let Ok(file) = open(c"/proc/self/oom_score_adj", nr::O_WRONLY) {
        let _ = write(file, b"1000");
        let _ = close(file);
    }
}

fn serve(control: i32) {
    loop {
        // SAFETY: the child's only thread uses these buffers.
        let (bytes, reply) = unsafe { (&mut *REQUEST.get(), &mut *REPLY.get()) };
        let Ok(received) = receive(control, bytes, None) else { return };
        let Some(request) = Request::read(bytes) else { return };
        reply.kind = request.kind;
        reply.errno = 0;
        reply.failed = 0;
        match request.kind {
            WRITE => write_ranges(&request, received.descriptor, reply),
            PROTECT => protect(&request, reply),
            EQUAL_PAGES => find_equal_pages(&request, reply),
            END => return,
            _ => reply.errno = EINVAL,
        }
        if let Some(descriptor) = received.descriptor {
            let _ = close(descriptor);
        }
        if send(control, reply.as_bytes(), &[]).is_err() {
            return;
        }
    }
}

fn write_ranges(request: &Request, file: Option<i32>, reply: &mut Reply) {
    let Some(file) = file else {
        reply.errno = EINVAL;
        return;
    };
    for (index, range) in request.ranges.iter().take(request.count as usize).enumerate() {
        if let Err(Errno(errno)) = write_range(file, *range) {
            reply.errno = errno;
            reply.failed = index as u64;
            return;
        }
    }
}

/// In one call at a time: the page cache holds what a call writes in folios as large as that and the place in the file allow (ext4 since Linux 6.16, XFS since 5.18), and
/// to read in a larger one is cheaper.
const WRITE_BLOCK: u64 = 64 * PAGE;

/// How much of a range one call writes. A folio as large as a huge page is mapped as one where it lies in the file as it does in memory.
fn block(range: &Range) -> u64 {
    let is_huge = range.address % HUGE_PAGE == 0 && range.offset % HUGE_PAGE == 0 && range.length >= HUGE_PAGE;
    if is_huge { HUGE_PAGE } else { range.length.min(WRITE_BLOCK - range.offset % WRITE_BLOCK) }
}

fn write_range(file: i32, mut range: Range) -> Result<(), Errno> {
    while range.length > 0 {
        let arguments = [file as u64, range.address, block(&range), range.offset, 0, 0];
        // SAFETY: the kernel reads the template's own memory, and answers EFAULT where there is none.
        let written = unsafe { call(nr::__NR_pwrite64, arguments) }?;
        if written == 0 {
            return Err(Errno(EIO));
        }
        range.address += written;
        range.offset += written;
        range.length -= written.min(range.length);
    }
    Ok(())
}

fn protect(request: &Request, reply: &mut Reply) {
    let [range, ..] = request.ranges;
    // SAFETY: the template runs no code but this file's, whose own memory the helper leaves as it is.
    let result = unsafe { call(nr::__NR_mprotect, [range.address, range.length, request.protection, 0, 0, 0]) };
    if let Err(Errno(errno)) = result {
        reply.errno = errno;
    }
}

fn find_equal_pages(request: &Request, reply: &mut Reply) {
    let [range, ..] = request.ranges;
    let pages = range.length / PAGE;
    if pages > SCAN_PAGES {
        reply.errno = EINVAL;
        return;
    }
    for (index, (zero, equal)) in reply.zero.iter_mut().zip(&mut reply.equal).enumerate() {
        (*zero, *equal) = (0, 0);
        for bit in 0..64 {
            let page = index as u64 * 64 + bit;
            let only = if page < pages { only_byte(range.address + page * PAGE) } else { None };
            match only {
                Some(0) => *zero |= 1 << bit,
                Some(_) => *equal |= 1 << bit,
                None => {}
            }
        }
    }
}

/// The byte that the page holds over and over.
fn only_byte(page: u64) -> Option<u8> {
    // SAFETY: the helper asks only for pages of readable mappings (it says PROTECT first where they are not).
    let words = unsafe { core::slice::from_raw_parts(page as *const u64, PAGE as usize / 8) };
    let [byte, ..] = words.first()?.to_ne_bytes();
    words.iter().all(|&word| word == u64::from_ne_bytes([byte; 8])).then_some(byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn huge_pages_are_written_whole_where_they_lie_in_the_file_as_in_memory() {
        let of = |address, offset, length| block(&Range { address, length, offset });
        assert_eq!(of(3 * HUGE_PAGE, HUGE_PAGE, 5 * HUGE_PAGE), HUGE_PAGE);
        for (address, offset, length) in
            [(PAGE, 0, 2 * HUGE_PAGE), (HUGE_PAGE, WRITE_BLOCK, 2 * HUGE_PAGE), (0, 0, HUGE_PAGE - PAGE)]
        {
            assert_eq!(of(address, offset, length), WRITE_BLOCK);
        }
        assert_eq!(of(0, WRITE_BLOCK - PAGE, HUGE_PAGE), PAGE);
        assert_eq!(of(0, PAGE, 3 * PAGE), 3 * PAGE);
    }
}
