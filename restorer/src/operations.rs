//! The image's map operations, by whichever thread carries them out.

use crate::numbers::*;
use crate::report::die;
use crate::sys::{self, Errno};
use core::ops::Range;
use hotfork_abi::restore::*;

/// A call that failed, and where.
pub struct Failed {
    call: &'static str,
    address: u64,
    error: Errno,
}

impl Failed {
    pub fn die(self) -> ! {
        die(self.call, self.address, self.error)
    }
}

/// The operations of one restore.
#[derive(Clone, Copy)]
pub struct Operations<'a> {
    list: &'a [MapOperation],
    files: *const i32,
}

impl<'a> Operations<'a> {
    /// # Safety
    /// `operations` and `files` are those of an `Ahead` that the helper filled: so many operations, and a descriptor for each
    /// file that one of them names.
    pub unsafe fn at(operations: u64, count: u64, files: u64) -> Self {
        // SAFETY: the caller's promise; nothing writes to the table any more.
        let list = unsafe { core::slice::from_raw_parts(operations as *const MapOperation, count as usize) };
        Self { list, files: files as *const i32 }
    }

    /// Where the prefetches begin that follow each other, and where they end.
    fn bounds(&self) -> Range<usize> {
        let first = self.list.iter().position(is_prefetch).unwrap_or(self.list.len());
        let count = self.list.iter().skip(first).take_while(|one| is_prefetch(one)).count();
        first..first + count
    }

    /// What both threads may carry out at the same time, when all is mapped.
    pub fn prefetch(&self) -> &'a [MapOperation] {
        self.list.get(self.bounds()).unwrap_or_default()
    }

    /// What waits until threads are made.
    pub fn later(&self) -> impl Iterator<Item = &'a MapOperation> {
        self.list.iter().filter(|one| one.operation == OP_ADVISE_LATER)
    }

    /// What the first thread reads while the second one maps.
    pub fn read_ahead(&self) -> impl Iterator<Item = &'a MapOperation> {
        self.list.iter().filter(|one| one.operation == OP_READ_AHEAD)
    }

    /// All that is to be done before the image is complete, in order, with the indices.
    pub fn but_prefetch(&self) -> impl Iterator<Item = (usize, &'a MapOperation)> {
        let prefetch = self.bounds();
        let ahead = |one: &MapOperation| matches!(one.operation, OP_ADVISE_LATER | OP_READ_AHEAD);
        self.list.iter().enumerate().filter(move |(index, one)| !prefetch.contains(index) && !ahead(one))
    }

    /// Does what one operation says, a prefetch as any other.
    pub fn carry_out(&self, operation: &MapOperation) -> Result<(), Failed> {
        self.carry_out_with(operation, 0)
    }

    /// The same, but fails where it would map over anything. (Before Linux 4.17, it does so all the same.)
    pub fn carry_out_on_free_ground(&self, operation: &MapOperation) -> Result<(), Failed> {
        self.carry_out_with(operation, MAP_FIXED_NOREPLACE)
    }

    fn carry_out_with(&self, operation: &MapOperation, further: u32) -> Result<(), Failed> {
        // SAFETY: `file` of an operation that uses one is below the number of entries at `files` (checked by the helper).
        let file = || unsafe { *self.files.add(operation.file as usize) } as u64;
        match operation.operation {
            OP_ANONYMOUS => map(operation, further | MAP_PRIVATE | MAP_ANONYMOUS, u64::MAX),
            OP_PRIVATE_FILE => map(operation, further | MAP_PRIVATE, file()),
            OP_SHARED_FILE => map(operation, further | MAP_SHARED, file()),
            OP_COPY => copy(operation, file()),
            OP_PROTECT => protect(operation.address, operation.length, operation.protection),
            OP_ADVISE => {
                let _ = sys::call(
                    SYS_MADVISE,
                    [operation.address, operation.length, operation.flags.into(), 0, 0, 0],
                );
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

fn is_prefetch(operation: &MapOperation) -> bool {
    operation.operation == OP_ADVISE && operation.flags == MADV_POPULATE_WRITE
}

fn map(operation: &MapOperation, kind: u32, file: u64) -> Result<(), Failed> {
    let flags = u64::from(operation.flags | kind | MAP_FIXED);
    let protection = u64::from(operation.protection);
    match sys::call(SYS_MMAP, [operation.address, operation.length, protection, flags, file, operation.offset]) {
        Ok(address) if address == operation.address => Ok(()),
        Ok(address) => Err(Failed { call: "mmap (placed elsewhere)", address, error: Errno(EEXIST) }),
        Err(error) => Err(Failed { call: "mmap", address: operation.address, error }),
    }
}

fn copy(operation: &MapOperation, file: u64) -> Result<(), Failed> {
    let mut done = 0;
    while done < operation.length {
        let address = operation.address + done;
        match sys::call(SYS_PREAD64, [file, address, operation.length - done, operation.offset + done, 0, 0]) {
            Ok(0) => return Err(Failed { call: "pread (end of file)", address, error: Errno(EIO) }),
            Ok(count) => done += count,
            Err(Errno(error)) if error == EINTR => {}
            Err(error) => return Err(Failed { call: "pread", address, error }),
        }
    }
    Ok(())
}

pub fn protect(address: u64, length: u64, protection: u32) -> Result<(), Failed> {
    match sys::call(SYS_MPROTECT, [address, length, u64::from(protection), 0, 0, 0]) {
        Ok(_) => Ok(()),
        Err(error) => Err(Failed { call: "mprotect", address, error }),
    }
}

/// Ranges that are advised in one call.
const AT_ONCE: usize = 128;

/// Brings the pages of each of `prefetch` in: one call for all is half a microsecond less for each. Failure is none: pages
/// that are not brought in now come when they are written.
pub fn bring_in(prefetch: &[MapOperation]) {
    for some in prefetch.chunks(AT_ONCE) {
        let (mut ranges, mut total) = ([[0; 2]; AT_ONCE], 0);
        for (range, one) in ranges.iter_mut().zip(some) {
            *range = [one.address, one.length];
            total += one.length;
        }
        let advice = u64::from(MADV_POPULATE_WRITE);
        // All advice for oneself since Linux 6.13.
        let at_once = [PIDFD_SELF_THREAD_GROUP, ranges.as_ptr() as u64, some.len() as u64, advice, 0, 0];
        if !sys::call(SYS_PROCESS_MADVISE, at_once).is_ok_and(|advised| advised == total) {
            for one in some {
                let _ = sys::call(SYS_MADVISE, [one.address, one.length, advice, 0, 0, 0]);
            }
        }
    }
}
