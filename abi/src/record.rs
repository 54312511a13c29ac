//! What a template says about itself. It lies in the memory of the JVM that was captured, so it is
//! in the image too, and an instance finds it again at the same address.

use crate::Text;
use crate::clock::Clocks;

pub const MAGIC: u64 = u64::from_le_bytes(*b"HFRECORD");

crate::plain_struct! {
    /// The stack pointer, which points at the return address, and of the agent's own thread the registers that a function call must
    /// preserve (everything else is dead at the call). All registers of other threads are in their signal frames.
    pub struct Registers {
        pub rbx: u64,
        pub rbp: u64,
        pub r12: u64,
        pub r13: u64,
        pub r14: u64,
        pub r15: u64,
        pub rsp: u64,
    }
}

pub const STATE_FREE: u32 = 0;
/// The signal is sent, no answer yet.
pub const STATE_SIGNALLED: u32 = 1;
/// The thread stands still in its handler.
pub const STATE_PARKED: u32 = 2;
/// The thread was at a place where it must not stand still: let it go and signal it again.
pub const STATE_RETRY: u32 = 3;
/// The thread ended before it saw the signal.
pub const STATE_GONE: u32 = 4;

/// Thread flags: keep this one in its handler until renewal is done (second release).
pub const FLAG_HELD: u32 = 1;
/// The first thread of the process (tid = pid).
pub const FLAG_LEADER: u32 = 2;
/// Would compete with the application's first moments in an instance: kept until they are over.
pub const FLAG_LATE: u32 = 8;

crate::plain_struct! {
    /// One thread of the captured JVM.
    pub struct ThreadSlot {
        pub registers: Registers,
        /// Base of FS: glibc's `struct pthread`.
        pub fs_base: u64,
        /// get_robust_list(2)
        pub robust_list: u64,
        pub robust_length: u64,
        /// set_tid_address(2); in glibc also the cached tid that pthread_kill uses.
        pub clear_tid: u64,
        /// The `ucontext_t` of the signal frame, 0 for the capturer. Restores edit it (FPU layout, time).
        pub ucontext: u64,
        /// The stack pointer where the thread was interrupted, 0 for the capturer.
        pub interrupted: u64,
        /// Address and length of its alternate signal stack; length 0 where it has none.
        pub alternate_stack: [u64; 2],
        /// Where the deadline of the wait lies that was under way, and in an instance what it was changed to (`struct
        /// timespec`); zeroes where none was.
        pub edited: [u64; 3],
        /// Top of the stack on which an instance brings the thread back, 0 for the capturer.
        pub stack: u64,
        /// In an instance threads are made in an order of their own: index of the slot whose thread comes as this slot's index says. The
        /// leader is the first, the capturer the second (or both are one).
        pub nth: u32,
        /// In an instance: the processor that the thread was made on.
        pub made_on: u32,
        /// Address of HotSpot's `OSThread::_thread_id`, 0 for threads that HotSpot does not know.
        pub os_thread_id: u64,
        pub tid: i32,
        /// One of `STATE_*`; touched atomically.
        pub state: u32,
        /// `FLAG_*`
        pub flags: u32,
        /// Times that the thread was let go and signalled again.
        pub retries: u32,
        pub name: [u8; 16],
    }
}

/// `CaptureRecord::lull`
pub const NO_LULL: u64 = u64::MAX;

pub const RANGES: usize = 128;

/// Kinds of `KnownRange`.
pub const RANGE_JAVA_HEAP: u32 = 1;
pub const RANGE_METASPACE: u32 = 2;
pub const RANGE_CODE: u32 = 3;

crate::plain_struct! {
    /// Memory whose owner the agent knows. It is only ever given back by HotSpot with mmap, never with
    /// MADV_DONTNEED, so it may be mapped from the image file.
    pub struct KnownRange {
        pub address: u64,
        pub length: u64,
        pub kind: u32,
        pub spare: u32,
    }
}

crate::plain_struct! {
    /// HotSpot's performance memory (hsperfdata), a shared file mapping in the captured JVM.
    pub struct PerfMemory {
        /// 0 when there is none.
        pub address: u64,
        pub length: u64,
        /// Address of the C string with the file's name, 0 when it was not found. HotSpot unlinks that name
        /// at exit, so an instance must change it.
        pub name: u64,
        /// Bytes that may be written there, the NUL among them.
        pub name_capacity: u64,
    }
}

crate::plain_struct! {
    /// Where HotSpot keeps the bounds of what its heap holds: addresses in the captured JVM, 0 where there is none.
    pub struct HeapLayout {
        /// A byte that is not 0 while a stop-the-world collection runs.
        pub collecting: u64,
        /// A word with the address of the array of pointers to regions, and one with its length.
        pub regions: u64,
        pub region_count: u64,
        /// The spaces of a collector without regions.
        pub spaces: [u64; 4],
        /// Offsets in a space or region: the words with its first free address and with its end.
        pub top: u64,
        pub end: u64,
    }
}

/// Without -XX:-SegmentedCodeCache there are two or three.
pub const CODE_HEAPS: usize = 4;

crate::plain_struct! {
    /// Where HotSpot keeps its code heaps and its Java threads: addresses in the captured JVM; no heaps where that is unknown, or where
    /// code is freed at any time.
    pub struct CodeLayout {
        /// Addresses of `CodeHeap`s.
        pub heaps: [u64; CODE_HEAPS],
        pub heap_count: u64,
        /// Offsets in a code heap: words with the begin and the end of what is committed, one with the begin of the segment map, and
        /// the logarithm of a segment's length (4 bytes).
        pub low: u64,
        pub high: u64,
        pub segment_map: u64,
        pub log2_segment: u64,
        /// Offsets in a block's header: its length in segments (`length_size` bytes), and a byte that is not 0 where it is used.
        pub length: u64,
        pub length_size: u64,
        pub used: u64,
        /// Address of the word that points to the list of Java threads. Offsets in that list: their count (4 bytes), and a word that
        /// points to their addresses. Offset in a thread: its state (4 bytes).
        pub threads: u64,
        pub thread_count: u64,
        pub thread_array: u64,
        pub thread_state: u64,
    }
}

pub const CLOCK_SLOTS: usize = 8;

/// What a `ClockSlot` leads to.
pub const CALL_CLOCK_GETTIME: u32 = 1;
pub const CALL_COND_TIMEDWAIT: u32 = 2;

crate::plain_struct! {
    /// A word through which libjvm calls a function of libc.
    pub struct ClockSlot {
        pub address: u64,
        /// PROT_* of its page.
        pub protection: u32,
        /// `CALL_*`
        pub function: u32,
    }
}

crate::plain_struct! {
    /// HotSpot's monotonic clock, which goes on in an instance from where it was (`hotfork_frozen::clock`).
    pub struct JvmClock {
        /// `slot_count` of them are in use; none where they were not found.
        pub slots: [ClockSlot; CLOCK_SLOTS],
        pub slot_count: u64,
        /// What the slots lead to in a JVM that is no instance.
        pub clock_gettime: u64,
        pub cond_timedwait: u64,
        /// Offset in glibc's `pthread_cond_t` of the 4-byte word whose bit 1 is set where the clock is CLOCK_MONOTONIC.
        pub cond_clock: u64,
        /// What this clock showed when `CaptureRecord::clocks` was read.
        pub monotonic: u64,
        /// 1 when the template's slots lead to `hotfork_frozen::clock`.
        pub replaced: u64,
        /// Address of the time by this clock when idle monitors were last deflated; 0 where it was not found.
        pub last_deflation: u64,
    }
}

crate::plain_struct! {
    pub struct CaptureRecord {
        pub magic: u64,
        pub abi_version: u32,
        pub pid: i32,
        /// Address of the `ThreadSlot` array; slot 0 is the capturer.
        pub slots: u64,
        pub slot_count: u64,
        /// Index of the leader's slot.
        pub leader: u64,
        /// Three ways into the agent, with no thread-local storage, all signals blocked. First `extern "C" fn(*const InstanceArgs)`, when
        /// all is mapped but what `RestoreArgs::last` says.
        pub instance_prepare: u64,
        /// Then, by a second thread if there is one, `extern "C" fn()`, which makes threads ...
        pub instance_others: u64,
        /// ... while the first one enters `extern "C" fn(*const InstanceArgs) -> !` on `entry_stack`.
        pub instance_entry: u64,
        pub entry_stack: u64,
        /// Addresses of words that the agent's code writes in every instance, whatever it does; 0: none.
        pub written: [u64; 4],
        /// Address of glibc's `__curbrk`, 0 when unknown.
        pub curbrk: u64,
        /// glibc's rseq area relative to the FS base; `rseq_size` 0 when glibc registers none.
        pub rseq_offset: i64,
        pub rseq_size: u64,
        /// Relative to the FS base: three words with a stack's lowest address, its length, and the length of the guard at its low
        /// end. 0 when unknown.
        pub stack_block: u64,
        /// Address of the size_t in which JDK 17's sweeper counts what has changed in the code cache, 0 elsewhere.
        pub bytes_changed: u64,
        /// Address of the word in which HotSpot counts how often it deoptimized a method at an uncommon trap, 0 where that is unknown.
        pub deoptimizations: u64,
        /// Nanoseconds until the application's threads all waited for something, `NO_LULL` where they did not in time, 0 where nobody looked.
        pub lull: u64,
        pub clocks: Clocks,
        pub jvm_clock: JvmClock,
        pub perf: PerfMemory,
        pub heap: HeapLayout,
        pub code: CodeLayout,
        pub range_count: u64,
        pub ranges: [KnownRange; RANGES],
        /// `java.vm.name`, `java.vm.version`, `java.vm.vendor`, `java.home`
        pub vm_name: Text<128>,
        pub vm_version: Text<128>,
        pub vm_vendor: Text<128>,
        pub java_home: Text<1024>,
        /// "Serial", "Parallel", "G1", "Shenandoah"
        pub collector: Text<32>,
    }
}
