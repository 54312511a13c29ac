//! Two threads of one restore: the second carries the operations out while the first still asks and rebuilds descriptors, the first
//! makes room where the helper lay and prepares the image, and both bring pages in. Then the second makes the image's threads, while the first
//! goes on into the image, and brings in what the first answer will need. On one processor, or where the second comes late, the first does all.
//!
//! # Safety contract of this file
//! `unsafe` is used to share an `Ahead`, which lies in the scaffold for as long as either thread uses it: the words that change
//! are only touched atomically, the others were written before there was a second thread. The image's function is called when all of
//! it is mapped; its memory is read where it is.

use crate::numbers::*;
use crate::operations::{Operations, bring_in};
use crate::sys;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use hotfork_abi::ahead::*;
use hotfork_abi::restore::{MapOperation, READ_AHEAD};

/// Prefetches that one thread takes at a time.
const CLAIM: usize = 8;
/// How long the second thread brings in what is for later, in nanoseconds.
const LATER_AT_MOST: u64 = 1_000_000;
/// As many as a kernel may be built for (NR_CPUS).
const PROCESSORS: usize = 8192;

pub struct Shared(*mut Ahead);

impl Shared {
    /// # Safety
    /// `ahead` is the address of the restore's `Ahead`.
    pub unsafe fn at(ahead: u64) -> Self {
        Self(ahead as *mut Ahead)
    }

    pub fn operations(&self) -> Operations<'static> {
        // SAFETY: the helper filled these fields, and nobody changes them; tables and descriptors outlive both threads' use.
        unsafe { Operations::at((*self.0).operations, (*self.0).operation_count, (*self.0).files) }
    }

    pub fn zones(&self) -> &[[u64; 2]] {
        // SAFETY: the helper filled both fields, and nobody changes them.
        let (zones, count) = unsafe { (&(*self.0).zones, (*self.0).zone_count) };
        zones.get(..count as usize).unwrap_or(zones)
    }

    fn in_zone(&self, operation: &MapOperation) -> bool {
        let (start, end) = (operation.address, operation.address + operation.length);
        self.zones().iter().any(|zone| start < zone[1] && zone[0] < end)
    }

    fn state(&self) -> &AtomicU32 {
        // SAFETY: aligned, alive, and never touched but by this reference.
        unsafe { AtomicU32::from_ptr(&raw mut (*self.0).state) }
    }

    fn mapped_down_to(&self) -> &AtomicU64 {
        // SAFETY: as for `state`.
        unsafe { AtomicU64::from_ptr(&raw mut (*self.0).mapped_down_to) }
    }

    fn failed_at(&self) -> &AtomicU64 {
        // SAFETY: as for `state`.
        unsafe { AtomicU64::from_ptr(&raw mut (*self.0).failed_at) }
    }

    fn claimed(&self) -> &AtomicU64 {
        // SAFETY: as for `state`.
        unsafe { AtomicU64::from_ptr(&raw mut (*self.0).claimed) }
    }

    fn files_open(&self) -> &AtomicU64 {
        // SAFETY: as for `state`.
        unsafe { AtomicU64::from_ptr(&raw mut (*self.0).files_open) }
    }

    fn others(&self) -> &AtomicU64 {
        // SAFETY: as for `state`.
        unsafe { AtomicU64::from_ptr(&raw mut (*self.0).others) }
    }

    fn later_done(&self) -> &AtomicU64 {
        // SAFETY: as for `state`.
        unsafe { AtomicU64::from_ptr(&raw mut (*self.0).later_done) }
    }

    fn begin(&self, as_what: u32) -> bool {
        self.state().compare_exchange(AHEAD_NEW, as_what, SeqCst, SeqCst).is_ok()
    }

    /// The second thread's part.
    pub fn second(&self) {
        if !self.begin(AHEAD_MAPS) {
            return;
        }
        let (operations, mut lowest) = (self.operations(), u64::MAX);
        for (index, operation) in operations.but_prefetch() {
            wait_while(|| self.files_open().load(SeqCst) <= u64::from(operation.file));
            // They come from the top of the address space down: what does not lie over an earlier one must lie over nothing. Else the helper
            // has memory there all the same, and whatever is left waits for the first thread.
            let first_there = operation.address + operation.length <= lowest;
            if first_there {
                self.mapped_down_to().store(lowest, SeqCst);
            }
            lowest = lowest.min(operation.address);
            let carried_out = match (self.in_zone(operation), first_there) {
                (true, _) => Ok(()),
                (false, true) => operations.carry_out_on_free_ground(operation),
                (false, false) => operations.carry_out(operation),
            };
            if carried_out.is_err() {
                self.failed_at().store(index as u64, SeqCst);
                return self.state().store(AHEAD_FAILED, SeqCst);
            }
        }
        self.state().store(AHEAD_MAPPED, SeqCst);
        wait_while(|| !self.zones().is_empty() && self.state().load(SeqCst) == AHEAD_MAPPED);
        self.share_prefetch(End::Last);
        wait_while(|| self.state().load(SeqCst) != AHEAD_PREPARED);
        let others = self.others().load(SeqCst);
        if others != 0 {
            use_all_processors();
            // SAFETY: the image is mapped and prepared; this is the agent's function of this type, from the digest-checked manifest.
            let others: extern "C" fn() = unsafe { core::mem::transmute(others) };
            others();
        }
        self.bring_in_later();
    }

    /// The application begins to answer meanwhile, on other processors: range by range, as whoever changes mappings waits for the one under way,
    /// and behind all that wait for this processor. What an answer needs beyond the first of it, another one may not need at all, and is left to the instance.
    fn bring_in_later(&self) {
        let end = sys::monotonic_now() + LATER_AT_MOST;
        for one in self.operations().later().take_while(|_| sys::monotonic_now() < end) {
            let _ = sys::call(SYS_SCHED_YIELD, [0; 6]);
            // Failure is none: what is not brought in comes when it is needed.
            let _ = sys::call(SYS_MADVISE, [one.address, one.length, one.flags.into(), 0, 0, 0]);
            self.later_done().fetch_add(1, SeqCst);
        }
    }

    /// The first thread's part: when it ends, all is mapped, and nothing of the helper is left in the zones. `unmap_zones` sees to the latter,
    /// when nobody maps: else the other thread would fall asleep over it, and wake 50 microseconds later. `prepare` is called before pages
    /// are brought in, of which the other thread brings in more meanwhile.
    pub fn first(&self, unmap_zones: impl FnOnce(&[[u64; 2]]), prepare: impl FnOnce()) {
        let operations = self.operations();
        let carry_out = |operation: &MapOperation| {
            if let Err(failed) = operations.carry_out(operation) {
                failed.die();
            }
        };
        if self.state().load(SeqCst) == AHEAD_TAKEN || self.begin(AHEAD_TAKEN) {
            unmap_zones(self.zones());
            operations.but_prefetch().for_each(|(_, operation)| carry_out(operation));
            prepare();
            return bring_in(operations.prefetch());
        }
        self.read_ahead();
        wait_while(|| self.state().load(SeqCst) == AHEAD_MAPS);
        unmap_zones(self.zones());
        // What the second thread did not come to; what fails here too ends the restore with a line.
        let failed = self.state().load(SeqCst) == AHEAD_FAILED;
        let first = if failed { self.failed_at().load(SeqCst) as usize } else { usize::MAX };
        operations
            .but_prefetch()
            .filter(|&(index, operation)| index >= first || self.in_zone(operation))
            .for_each(|(_, operation)| carry_out(operation));
        self.state().store(AHEAD_COMPLETE, SeqCst);
        prepare();
        self.state().store(AHEAD_PREPARED, SeqCst);
        self.share_prefetch(End::First);
    }

    /// Page faults of the instance's first moments are taken while there is nothing else to do. A fault needs no lock of the address space,
    /// where the memory is a file's and read only; nor does anybody copy such pages later, which would interrupt this processor.
    fn read_ahead(&self) {
        for one in self.operations().read_ahead().filter(|one| !self.in_zone(one)) {
            let mut address = one.address;
            while address < one.address + one.length {
                wait_while(|| self.state().load(SeqCst) == AHEAD_MAPS && address < self.mapped_down_to().load(SeqCst));
                if self.state().load(SeqCst) != AHEAD_MAPS {
                    return;
                }
                // SAFETY: the address is mapped by now, readable and within its file: the helper has seen to that.
                let _ = unsafe { (address as *const u8).read_volatile() };
                address = (address & !(READ_AHEAD - 1)) + READ_AHEAD;
            }
        }
    }

    /// One thread goes from the begin on, the other from the end, until all are taken: a page that is copied locks the piece of the page cache that it lies in, up to 2 MB, and
    /// who waits for that falls asleep.
    fn share_prefetch(&self, from: End) {
        let operations = self.operations();
        let prefetch = operations.prefetch();
        let parts = prefetch.len().div_ceil(CLAIM);
        for own in 0..parts {
            if self.claimed().fetch_add(1, SeqCst) >= parts as u64 {
                return;
            }
            let part = match from {
                End::First => own,
                End::Last => parts - 1 - own,
            };
            let some = prefetch.get(part * CLAIM..prefetch.len().min((part + 1) * CLAIM));
            bring_in(some.unwrap_or_default());
        }
    }
}

/// Of the prefetches.
#[derive(Clone, Copy)]
enum End {
    First,
    Last,
}

/// The second thread was sent to another processor than the first one's, and what it makes inherits that.
fn use_all_processors() {
    let all = [u64::MAX; PROCESSORS / 64];
    // The kernel takes those that there are, and that this process may use.
    let _ = sys::call(SYS_SCHED_SETAFFINITY, [0, size_of_val(&all) as u64, (&raw const all) as u64, 0, 0, 0]);
}

/// The other thread is at work on another processor, or waits for this one.
fn wait_while(condition: impl Fn() -> bool) {
    let mut looks = 0u32;
    while condition() {
        looks += 1;
        if looks % 256 == 0 {
            let _ = sys::call(SYS_SCHED_YIELD, [0; 6]);
        }
        core::hint::spin_loop();
    }
}
