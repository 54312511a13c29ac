//! Has a second thread map the image while the first still asks questions and rebuilds descriptors. Until the first unmaps what
//! the helper is, that changes nothing: what is mapped lies where this process has nothing, and goes with it when a
//! question is answered with no.
//!
//! # Safety contract of this file
//! `unsafe` is used to start that thread, when all that it uses is in place: `begin` is given a scaffold with its files and the
//! operations of an image that were found sound.
#![allow(unsafe_code)]

use super::entry;
use super::operations::{ADDRESS_SPACE_END, merge};
use super::scaffold::Scaffold;
use crate::host::kernel;
use hotfork_abi::Plain;
use hotfork_abi::ahead::{AHEAD_NEW, AHEAD_TAKEN, Ahead, ZONES};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use std::mem::offset_of;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// The ranges that are the helper's, and what of the image reaches into them: left to the first thread. None where the image has
/// nothing there: then the helper's memory is in nobody's way, and may stay for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zones(Vec<Range<u64>>);

impl Zones {
    /// Nothing is carried out ahead.
    pub fn everything() -> Self {
        Self(vec![0..ADDRESS_SPACE_END])
    }

    pub fn are_none(&self) -> bool {
        self.0.is_empty()
    }

    /// `near` is where this process has memory, merged; `occupied`, what the image maps, merged.
    pub fn around(near: Vec<Range<u64>>, occupied: &[Range<u64>]) -> Self {
        // Operations of one occupied range may lie over each other: all of them or none.
        let reach_in: Vec<_> = occupied
            .iter()
            .filter(|range| near.iter().any(|zone| zone.start < range.end && range.start < zone.end))
            .collect();
        if reach_in.is_empty() {
            return Self(Vec::new());
        }
        let mut zones: Vec<_> = near.iter().chain(reach_in).cloned().collect();
        zones.sort_unstable_by_key(|zone| zone.start);
        let zones = merge(zones);
        if zones.len() > ZONES { Self::everything() } else { Self(zones) }
    }
}

/// What the image's operations need is in `scaffold`, but for files besides the image: tells both threads of it, and makes the second one,
/// where there is a processor for it and something to do. Says whether it did. All operations were found sound.
pub fn begin(scaffold: &Scaffold, zones: &Zones, operation_count: usize) -> bool {
    let mut ahead = Ahead::zeroed();
    ahead.operations = scaffold.at(scaffold.layout().operations);
    ahead.operation_count = operation_count as u64;
    ahead.files = scaffold.at(scaffold.layout().files);
    for (place, zone) in ahead.zones.iter_mut().zip(&zones.0) {
        *place = [zone.start, zone.end];
    }
    ahead.zone_count = zones.0.len() as u64;
    ahead.mapped_down_to = u64::MAX;
    ahead.files_open = 1;
    ahead.state = AHEAD_TAKEN;
    let elsewhere = if *zones == Zones::everything() { None } else { other_processors() };
    let Some(elsewhere) = elsewhere else {
        scaffold.place_ahead(&ahead);
        return false;
    };
    // With two threads registering for membarrier(2), as each instance does, waits for a grace period of RCU: 6 to 15 ms.
    // Kernels without it say no.
    // SAFETY: this registers the process with the kernel, and touches no memory.
    unsafe { libc::syscall(libc::SYS_membarrier, libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) };
    scaffold.place_ahead(&Ahead { state: AHEAD_NEW, ..ahead });
    // SAFETY: everything is in place (above, and by this function's contract). What this process has and still maps lies in the
    // zones, or else the second thread finds it there (MAP_FIXED_NOREPLACE). `Start` blocked all signals.
    match unsafe { entry::second_thread(scaffold, tid_at(scaffold)) } {
        // The kernel begins a thread on its maker's processor, where it would wait. Failing is harmless: it comes too late then.
        Ok(tid) => drop(sched_setaffinity(tid, &elsewhere)),
        Err(_) => {
            // Not as many tasks as that are allowed: whether that is too few for the JVM, is asked apart.
            scaffold.place_ahead(&ahead);
            return false;
        }
    }
    true
}

/// So many files, the image among them, have their numbers in the scaffold.
pub fn files_open(scaffold: &Scaffold, count: usize) {
    let at = scaffold.at(scaffold.layout().ahead) + offset_of!(Ahead, files_open) as u64;
    // SAFETY: an aligned word of the scaffold that was filled by `begin`, and that the second thread reads as an atomic, too.
    unsafe { AtomicU64::from_ptr(at as *mut u64) }.store(count as u64, SeqCst);
}

/// Those that this process may use, but for the one it is on. `None` where there are none, or where more tasks run than there are
/// processors: a second thread would wait there for its turn, and the first one for it (3 ms with two that spin on two processors).
fn other_processors() -> Option<CpuSet> {
    let mut set = sched_getaffinity(Pid::from_raw(0)).ok()?;
    let running = kernel::running_count(&kernel::read_line("/proc/loadavg").ok()?)?;
    if running > numbers(&set).count() as u64 {
        return None;
    }
    // SAFETY: asks the kernel for a number.
    let own = usize::try_from(unsafe { libc::sched_getcpu() }).ok()?;
    set.unset(own).ok()?;
    numbers(&set).next().is_some().then_some(set)
}

fn numbers(set: &CpuSet) -> impl Iterator<Item = usize> {
    (0..CpuSet::count()).filter(|&cpu| set.is_set(cpu) == Ok(true))
}

/// Has the second thread make threads, too, by `others`. They inherit that it may use all processors there are, so only where this one may as
/// well. Where it may not, to name those that it may use would bind them, whatever a control group is given later (cpuset, since Linux 6.2).
pub fn share_threads(scaffold: &Scaffold, others: u64) {
    let all_online = || {
        let online = kernel::read_line("/sys/devices/system/cpu/online").ok()?;
        Some(uses_all(&online, numbers(&sched_getaffinity(Pid::from_raw(0)).ok()?)))
    };
    if all_online() == Some(true) {
        let at = scaffold.at(scaffold.layout().ahead) + offset_of!(Ahead, others) as u64;
        // SAFETY: an aligned word of the scaffold that was filled by `begin`, and that the second thread reads as an atomic, too.
        unsafe { AtomicU64::from_ptr(at as *mut u64) }.store(others, SeqCst);
    }
}

/// `online` as the kernel writes it: numbers and ranges, with commas between them.
fn uses_all(online: &str, own: impl Iterator<Item = usize>) -> bool {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse::<usize>().ok()?..=last.parse().ok()?)
    };
    let ranges: Option<Vec<_>> = online.trim().split(',').map(range).collect();
    let own: Vec<usize> = own.collect();
    ranges.is_some_and(|ranges| ranges.into_iter().flatten().all(|cpu| own.contains(&cpu)))
}

/// Where it stands how much of what is for later it has brought in.
pub const fn later_done_at(scaffold: &Scaffold) -> u64 {
    scaffold.at(scaffold.layout().ahead) + offset_of!(Ahead, later_done) as u64
}

/// Where the second thread's id stands.
pub const fn tid_at(scaffold: &Scaffold) -> u64 {
    scaffold.at(scaffold.layout().ahead) + offset_of!(Ahead, tid) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1 << 20;

    #[test]
    fn what_reaches_near_the_helper_is_left_as_a_whole() {
        let helper = vec![744 * MB..1257 * MB, 899_744 * MB..900_257 * MB];
        let reaches_in = 700 * MB..800 * MB;
        let occupied = [10 * MB..20 * MB, reaches_in.clone(), 2000 * MB..2100 * MB, 900_200 * MB..901_000 * MB];
        let expected = [reaches_in.start..1257 * MB, 899_744 * MB..901_000 * MB];
        assert_eq!(Zones::around(helper.clone(), &occupied), Zones(expected.to_vec()));
        assert!(Zones::around(helper, &occupied[2..3]).are_none());
    }

    #[test]
    fn all_processors_are_those_online() {
        assert!(
            uses_all("0-1\n", [0, 1].into_iter())
                && uses_all("0,2-3", [0, 2, 3].into_iter())
                && uses_all("5", [5].into_iter())
        );
        assert!(
            !uses_all("0-3", [1, 2, 3].into_iter())
                && !uses_all("0,2-3", [0, 2].into_iter())
                && !uses_all("", [0].into_iter())
        );
    }

    #[test]
    fn too_many_zones_are_one() {
        let helper: Vec<_> = (1..=ZONES as u64 + 1).map(|n| n * 10_000 * MB..n * 10_000 * MB + MB).collect();
        let reaches_in = [20_000 * MB..20_000 * MB + 1];
        assert_eq!(Zones::around(helper.clone(), &reaches_in), Zones::everything());
        assert_eq!(Zones::around(helper[1..].to_vec(), &reaches_in).0.len(), ZONES);
    }
}
