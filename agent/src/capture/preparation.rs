//! Everything a freeze needs, made before it: buffers, the signal, and what the agent knows of this JVM.
//!
//! # Safety contract of this file
//! Slot arrays are mapped and, once a handler may know one, never unmapped; the shared page lives until
//! the capture has ended in the JVM (the template unmaps its own view).
#![allow(unsafe_code)]

use super::{CaptureError, signal};
use crate::hotspot::{self, Facts, libjvm, stacks};
use crate::jvm::Jvm;
use hotfork_abi::record::{CaptureRecord, MAGIC, NO_LULL, RANGES, ThreadSlot};
use hotfork_abi::{ABI_VERSION, PAGE, Plain, Text};
use hotfork_frozen::state::{CAUGHT, VDSO, WAITING_CODE, set_slots, slots_length};
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use std::ffi::c_void;
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

/// Threads that may start between counting them and the last one's stop.
const SPARE_THREADS: usize = 256;
/// One read of /proc/self/task: 32 bytes an entry.
const DIRECTORY: usize = 64 * 1024;

pub struct Preparation {
    pub signal: i32,
    pub tids: Vec<i32>,
    pub directory: Vec<u8>,
    pub shared: SharedPage,
    record: Box<CaptureRecord>,
}

impl Preparation {
    pub fn make(jvm: &Jvm, facts: &Facts) -> Result<Self, CaptureError> {
        let signal = signal::install()?;
        CAUGHT.store(signal::caught(signal), SeqCst);
        let maps = hotspot::maps()?;
        note_vdso(&maps);
        note(&WAITING_CODE, hotspot::waiting_code(&facts.clock, &maps));
        let capacity = count_threads()? + SPARE_THREADS;
        let slots = map_slots(capacity)?;
        let mut record = Box::new(CaptureRecord::zeroed());
        record.magic = MAGIC;
        record.abi_version = ABI_VERSION;
        record.pid = std::process::id() as i32;
        record.slots = slots as u64;
        record.curbrk = libjvm::exported("__curbrk").unwrap_or(0);
        (record.rseq_offset, record.rseq_size) = libjvm::rseq();
        record.stack_block = stacks::block_offset();
        record.bytes_changed = facts.bytes_changed;
        record.deoptimizations = facts.deoptimizations;
        record.perf = facts.perf;
        record.heap = facts.heap;
        record.code = facts.code;
        record.jvm_clock = facts.clock;
        record.range_count = facts.ranges.len().min(RANGES) as u64;
        for (place, range) in record.ranges.iter_mut().zip(&facts.ranges) {
            *place = *range;
        }
        record.vm_name = Text::new(&jvm.property("java.vm.name"));
        record.vm_version = Text::new(&jvm.property("java.vm.version"));
        record.vm_vendor = Text::new(&jvm.property("java.vm.vendor"));
        record.java_home = Text::new(&jvm.property("java.home"));
        record.collector = Text::new(facts.collector);
        record.written[..2].copy_from_slice(&crate::renew::written());
        signal::await_unblocked(signal)?;
        Ok(Self { signal, tids: vec![0; capacity], directory: vec![0; DIRECTORY], shared: SharedPage::new()?, record })
    }

    pub fn note_lull(&mut self, waited: Option<Duration>) {
        self.record.lull = waited.map_or(NO_LULL, |waited| (waited.as_nanos() as u64).max(1));
    }

    pub fn record(&self) -> CaptureRecord {
        *self.record
    }

    /// After the capture, in the JVM: gives back what only the capture used.
    pub fn clean(self) {
        self.shared.unmap();
    }
}

fn count_threads() -> Result<usize, CaptureError> {
    std::fs::read_dir("/proc/self/task")
        .map(Iterator::count)
        .map_err(|error| CaptureError::System { what: "counting threads", reason: error.to_string() })
}

fn map(length: usize, flags: MapFlags) -> Result<NonNull<c_void>, CaptureError> {
    let length = NonZeroUsize::new(length).unwrap_or(NonZeroUsize::MIN);
    // SAFETY: a new mapping where the kernel has room; it overlaps nothing.
    unsafe { mmap_anonymous(None, length, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, flags) }
        .map_err(|errno| CaptureError::System { what: "mapping memory for the capture", reason: errno.desc().into() })
}

/// A fresh array each time: a handler that is slow to leave may still read the last one.
fn map_slots(capacity: usize) -> Result<*mut ThreadSlot, CaptureError> {
    let slots = map(slots_length(capacity), MapFlags::MAP_PRIVATE)?.as_ptr().cast();
    // SAFETY: new memory of the length that was asked for, which nobody unmaps.
    unsafe { set_slots(slots, capacity as u32) };
    Ok(slots)
}

/// The vdso, and pages of former vdsos that earlier restores left, are no place to be frozen in.
fn note_vdso(maps: &[hotspot::Mapping]) {
    let ranges = maps.iter().filter(|mapping| mapping.path == "[vdso]").map(|mapping| (mapping.from, mapping.to));
    let image = crate::renew::former_vdso();
    note(&VDSO, ranges.chain(image));
}

fn note(places: &[[AtomicU64; 2]], ranges: impl IntoIterator<Item = (u64, u64)>) {
    let mut ranges = ranges.into_iter();
    for place in places {
        let (from, to) = ranges.next().unwrap_or((0, 0));
        place[0].store(from, SeqCst);
        place[1].store(to, SeqCst);
    }
}

/// A page that JVM and template share until the template's descriptors are closed.
pub struct SharedPage {
    page: NonNull<c_void>,
}

impl SharedPage {
    fn new() -> Result<Self, CaptureError> {
        Ok(Self { page: map(PAGE as usize, MapFlags::MAP_SHARED)? })
    }

    pub fn word(&self) -> &AtomicU32 {
        // SAFETY: the page is mapped, aligned and zeroed at first; all access is atomic.
        unsafe { AtomicU32::from_ptr(self.page.as_ptr().cast()) }
    }

    fn unmap(self) {
        // SAFETY: our own mapping, which nothing refers to any more.
        if let Err(errno) = unsafe { munmap(self.page, PAGE as usize) } {
            log::error!("munmap of the shared page: {errno}");
        }
    }
}
