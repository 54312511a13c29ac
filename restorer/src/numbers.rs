//! Kernel numbers that the blob needs. The compiler builds the blob without cargo, so it cannot use
//! `linux-raw-sys`; the test below compares each number with that crate's.

pub const SYS_MMAP: u64 = 9;
pub const SYS_MPROTECT: u64 = 10;
pub const SYS_MUNMAP: u64 = 11;
pub const SYS_BRK: u64 = 12;
pub const SYS_PREAD64: u64 = 17;
pub const SYS_SCHED_YIELD: u64 = 24;
pub const SYS_SCHED_SETAFFINITY: u64 = 203;
pub const SYS_MREMAP: u64 = 25;
pub const SYS_MADVISE: u64 = 28;
pub const SYS_WRITE: u64 = 1;
pub const SYS_EXIT: u64 = 60;
pub const SYS_PRCTL: u64 = 157;
pub const SYS_CLOCK_GETTIME: u64 = 228;
pub const SYS_EXIT_GROUP: u64 = 231;
pub const SYS_CLOSE_RANGE: u64 = 436;
pub const SYS_PROCESS_MADVISE: u64 = 440;

pub const PROT_READ: u32 = 1;
pub const PROT_WRITE: u32 = 2;
pub const PROT_EXEC: u32 = 4;
pub const MAP_SHARED: u32 = 1;
pub const MAP_PRIVATE: u32 = 2;
pub const MAP_FIXED: u32 = 0x10;
pub const MAP_FIXED_NOREPLACE: u32 = 0x10_0000;
pub const MAP_ANONYMOUS: u32 = 0x20;
pub const MREMAP_MAYMOVE: u64 = 1;
pub const MREMAP_FIXED: u64 = 2;
pub const PR_SET_MM: u64 = 35;
pub const PR_SET_MM_MAP: u64 = 14;
pub const CLOCK_MONOTONIC: u64 = 1;
/// This process, where a pidfd is asked for; since Linux 6.14. `linux-raw-sys` does not have it yet.
pub const PIDFD_SELF_THREAD_GROUP: u64 = -10_001i64 as u64;

pub const EPERM: u64 = 1;
pub const EINTR: u64 = 4;
pub const EIO: u64 = 5;
pub const ENOMEM: u64 = 12;
pub const EACCES: u64 = 13;
pub const EEXIST: u64 = 17;

#[cfg(test)]
mod tests {
    use super::*;
    use linux_raw_sys::{errno, general as nr, prctl};

    #[test]
    fn the_numbers_are_the_kernels() {
        let calls = [
            (SYS_MMAP, nr::__NR_mmap),
            (SYS_MPROTECT, nr::__NR_mprotect),
            (SYS_MUNMAP, nr::__NR_munmap),
            (SYS_BRK, nr::__NR_brk),
            (SYS_PREAD64, nr::__NR_pread64),
            (SYS_SCHED_YIELD, nr::__NR_sched_yield),
            (SYS_EXIT, nr::__NR_exit),
            (SYS_MREMAP, nr::__NR_mremap),
            (SYS_MADVISE, nr::__NR_madvise),
            (SYS_WRITE, nr::__NR_write),
            (SYS_PRCTL, nr::__NR_prctl),
            (SYS_CLOCK_GETTIME, nr::__NR_clock_gettime),
            (SYS_EXIT_GROUP, nr::__NR_exit_group),
            (SYS_CLOSE_RANGE, nr::__NR_close_range),
            (SYS_PROCESS_MADVISE, nr::__NR_process_madvise),
            (MREMAP_MAYMOVE, nr::MREMAP_MAYMOVE),
            (MREMAP_FIXED, nr::MREMAP_FIXED),
            (PR_SET_MM, prctl::PR_SET_MM),
            (PR_SET_MM_MAP, prctl::PR_SET_MM_MAP),
            (CLOCK_MONOTONIC, nr::CLOCK_MONOTONIC),
            (EPERM, errno::EPERM),
            (EINTR, errno::EINTR),
            (EIO, errno::EIO),
            (ENOMEM, errno::ENOMEM),
            (EACCES, errno::EACCES),
            (EEXIST, errno::EEXIST),
        ];
        for (index, (ours, theirs)) in calls.into_iter().enumerate() {
            assert_eq!(ours, u64::from(theirs), "number {index} of the list");
        }
        assert_eq!(
            [PROT_READ, PROT_WRITE, PROT_EXEC, MAP_SHARED, MAP_PRIVATE, MAP_FIXED, MAP_FIXED_NOREPLACE, MAP_ANONYMOUS],
            [
                nr::PROT_READ,
                nr::PROT_WRITE,
                nr::PROT_EXEC,
                nr::MAP_SHARED,
                nr::MAP_PRIVATE,
                nr::MAP_FIXED,
                nr::MAP_FIXED_NOREPLACE,
                nr::MAP_ANONYMOUS
            ]
        );
    }
}
