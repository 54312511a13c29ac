//! Tables with which the restorer turns the helper's process into the captured JVM. The operations
//! are written into the image as they are used: nothing is parsed between exec and the jump.

use crate::Text;

/// mmap anonymous private at `address`.
pub const OP_ANONYMOUS: u32 = 1;
/// mmap `file` at `offset`, private.
pub const OP_PRIVATE_FILE: u32 = 2;
/// mmap `file` at `offset`, shared (read-only mappings, and hsperfdata).
pub const OP_SHARED_FILE: u32 = 3;
/// pread `length` bytes of `file` at `offset` into memory that an earlier operation mapped writable.
pub const OP_COPY: u32 = 4;
/// mprotect to `protection`.
pub const OP_PROTECT: u32 = 5;
/// madvise with `flags` as the advice; failure is not an error.
pub const OP_ADVISE: u32 = 6;
/// Nothing (an operation that this host does not need).
pub const OP_NONE: u32 = 7;

/// As `OP_ADVISE`, by the restore's second thread when all threads are made, or else by the instance, when its application has run for a while.
/// Behind all others.
pub const OP_ADVISE_LATER: u32 = 8;

/// A byte of each `READ_AHEAD` bytes is read, by the restore's first thread while the second one still maps. Memory of files that nobody may
/// write to, and of the image where a trial wrote to nothing. Behind all others that it could lie over.
pub const OP_READ_AHEAD: u32 = 9;

/// What one page fault maps of a file, from a multiple of it on (the kernel's fault_around_bytes).
pub const READ_AHEAD: u64 = 64 << 10;

/// madvise(2): makes pages one's own as a write to each would. Since Linux 5.14; before, the advice is refused and
/// each page is brought in when it is written.
pub const MADV_POPULATE_WRITE: u32 = 23;

/// madvise(2): maps pages as a read of each would. Since Linux 5.14, as the other.
pub const MADV_POPULATE_READ: u32 = 22;

/// `file` index of the image itself; the manifest's mapped files follow from 1.
pub const FILE_IMAGE: u32 = 0;

crate::plain_struct! {
    pub struct MapOperation {
        pub address: u64,
        pub length: u64,
        pub offset: u64,
        pub operation: u32,
        /// PROT_*
        pub protection: u32,
        /// Further mmap flags (MAP_GROWSDOWN, MAP_NORESERVE, MAP_HUGETLB), or the advice.
        pub flags: u32,
        pub file: u32,
    }
}

crate::plain_struct! {
    /// A mapping of the host's vdso or vvar, and where it goes. All move by the same distance.
    pub struct HostMapping {
        pub from: u64,
        pub to: u64,
        pub length: u64,
    }
}

crate::plain_struct! {
    /// Bytes to write over a vdso entry point of the image.
    pub struct Patch {
        pub address: u64,
        pub length: u64,
        pub bytes: [u8; 16],
    }
}

pub const HOST_MAPPINGS: usize = 8;
pub const PATCHES: usize = 32;

crate::plain_struct! {
    /// struct prctl_mm_map
    pub struct MemoryMap {
        pub start_code: u64,
        pub end_code: u64,
        pub start_data: u64,
        pub end_data: u64,
        pub start_brk: u64,
        pub brk: u64,
        pub start_stack: u64,
        pub arg_start: u64,
        pub arg_end: u64,
        pub env_start: u64,
        pub env_end: u64,
        pub auxv: u64,
        pub auxv_size: u32,
        /// Always u32::MAX (-1): changing the link needs a privilege.
        pub exe_fd: u32,
    }
}

/// The application's first moments in an instance, in nanoseconds, which the JVM's own threads leave to it. Their waits
/// last so long at least: HotSpot deflates monitors once in a minute, so the Monitor Deflation Thread of an old image has
/// 6 ms of work when its quarter of a second is over.
pub const FIRST_MOMENTS: u64 = 50_000_000;

/// Ranges of the helper's memory that an instance unmaps, at most.
pub const LEFT_BEHIND: usize = 16;

/// Moments of a restore, CLOCK_MONOTONIC in nanoseconds; indices into `InstanceArgs::times`.
pub const TIME_MAIN: usize = 0;
pub const TIME_CHECKED: usize = 1;
pub const TIME_DESCRIPTORS: usize = 2;
pub const TIME_JUMP: usize = 3;
pub const TIME_MAPPED: usize = 4;
/// All threads exist.
pub const TIME_THREADS: usize = 5;
/// JVM state is renewed.
pub const TIME_RENEWED: usize = 6;
/// Application threads run.
pub const TIME_RUNNING: usize = 7;
pub const TIMES: usize = 8;

crate::plain_struct! {
    /// What an instance learns about the process that it became. Lies in the kept part of the hole.
    pub struct InstanceArgs {
        /// To be unmapped by the instance, when the word at `second_thread` is 0, if there is one: the restorer's code and tables.
        pub scaffold: u64,
        pub scaffold_length: u64,
        /// What else of the helper is still there, and also to be unmapped: start and end, zeroes behind the last.
        pub left_behind: [[u64; 2]; LEFT_BEHIND],
        /// Where the id of the restorer's second thread stands as long as there is one (CLONE_CHILD_CLEARTID); 0 if
        /// there was none.
        pub second_thread: u64,
        /// Where `Ahead::later_done` stands.
        pub later_done: u64,
        /// The operations there, among them those for later.
        pub operations: u64,
        pub operation_count: u64,
        /// The new environment: `environment_count` NUL-terminated `KEY=VALUE` strings.
        pub environment: u64,
        pub environment_length: u64,
        pub environment_count: u64,
        /// Signals (bit n-1) that the restoring process ignored: SIGHUP and SIGINT stay so.
        pub ignored_signals: u64,
        /// 0 when PR_SET_MM_MAP was refused and `__curbrk` was set to brk(0) instead.
        pub brk_set: u64,
        /// By how many nanoseconds HotSpot's monotonic clock has gone on since the capture.
        pub nap: u64,
        /// Name of the new hsperfdata file; empty when the performance memory is private.
        pub perf_name: Text<256>,
        /// Where to write the times as one JSON line when application threads run, -1 for nowhere. Closed then.
        pub times_fd: i64,
        pub times: [u64; TIMES],
    }
}

crate::plain_struct! {
    /// Input of the restorer's blob.
    pub struct RestoreArgs {
        /// The range that the blob, its tables, the new environment and the host's vdso live in. It is free
        /// in the image; all else is unmapped, where it is in the image's way, or by the instance.
        pub hole: u64,
        pub hole_length: u64,
        pub host_mappings: [HostMapping; HOST_MAPPINGS],
        pub host_mapping_count: u64,
        pub patches: [Patch; PATCHES],
        pub patch_count: u64,
        pub memory_map: MemoryMap,
        /// Address of glibc's `__curbrk` in the image, 0 when unknown.
        pub curbrk: u64,
        /// The one operation that was not known before the restore: it maps hsperfdata. Or `OP_NONE`.
        pub last: MapOperation,
        /// An `Ahead`.
        pub ahead: u64,
        /// Descriptors from here on are the helper's: closed before the jump (not `times_fd`).
        pub close_from: u64,
        /// `CaptureRecord::instance_prepare` and `instance_entry`
        pub prepare: u64,
        pub entry: u64,
        pub stack: u64,
        pub instance: InstanceArgs,
    }
}

/// Exit status of a process that failed after the first unmap.
pub const EXIT_AFTER_UNMAP: i32 = 119;
