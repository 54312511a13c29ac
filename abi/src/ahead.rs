//! What a restore's second thread is told, and what it tells: it carries the map operations out while the first one still asks and
//! rebuilds descriptors. Lies in the restorer's scaffold.

/// Where in the restorer's code the second thread is made.
pub const SECOND_ENTRY: u64 = 16;

/// Ranges that one restore leaves to its first thread, at most.
pub const ZONES: usize = 8;

/// It has not begun; whoever comes first, it or the first thread, carries the operations out.
pub const AHEAD_NEW: u32 = 0;
/// It carries them out.
pub const AHEAD_MAPS: u32 = 1;
/// It has mapped all but the zones, and waits, if there are any, until nothing of the helper is left there.
pub const AHEAD_MAPPED: u32 = 2;
/// An operation failed, which may do so again in the first thread: `failed_at` says which.
pub const AHEAD_FAILED: u32 = 3;
/// It must not begin any more, or there is none.
pub const AHEAD_TAKEN: u32 = 4;
/// All is mapped; the second thread brings pages in, and soon both do.
pub const AHEAD_COMPLETE: u32 = 5;
/// The instance is prepared; threads may be made.
pub const AHEAD_PREPARED: u32 = 6;

crate::plain_struct! {
    /// The words that both threads write, they touch as atomics.
    pub struct Ahead {
        pub operations: u64,
        pub operation_count: u64,
        /// Array of i32, indexed by `MapOperation::file`. Only the image is open from the start.
        pub files: u64,
        /// How many of them are open.
        pub files_open: u64,
        /// Where memory of the helper lies, or may come to lie, and the image has some as well: start and end, ascending. All else is
        /// free from the start.
        pub zones: [[u64; 2]; ZONES],
        pub zone_count: u64,
        /// All that does not lie in the zones is mapped from this address on.
        pub mapped_down_to: u64,
        /// Index of the operation that failed.
        pub failed_at: u64,
        /// How often one of the threads has taken some of the prefetches, or found all of them taken.
        pub claimed: u64,
        /// `CaptureRecord::instance_others`, 0 where the second thread makes no threads.
        pub others: u64,
        /// How many of the prefetches for later the second thread has brought in.
        pub later_done: u64,
        /// `AHEAD_*`
        pub state: u32,
        /// Its thread id, 0 before it is made and when the kernel has ended it.
        pub tid: u32,
    }
}
