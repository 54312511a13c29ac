//! The fork: the child becomes the template, and its descriptors are gone before the JVM goes on.
//!
//! # Safety contract of this file
//! Runs in the capturing thread while all others are frozen, but for `rehearse`. The shared page is a MAP_SHARED page that
//! the agent made for this capture; only its first word is used.
#![allow(unsafe_code)]

use crate::arch::{INSTANCE, hotfork_fork};
use crate::descriptors::{HandError, HandedOver};
use crate::freeze::Frozen;
use crate::state::{slot, state_of};
use crate::syscall::{call, exit_group, futex_wait, kill, monotonic, set_signal_mask};
use crate::{Errno, instance, revival, template, waits};
use core::sync::atomic::{AtomicU32, Ordering::SeqCst};
use hotfork_abi::record::{CaptureRecord, STATE_PARKED};
use linux_raw_sys::general as nr;

const EINTR: i32 = 4;
const SIGKILL: i32 = 9;

/// In which world a capture came back.
pub enum World {
    /// The JVM that was captured; its template has this pid. Its threads are running again.
    Original { template: i32 },
    /// A restored instance: the JVM's own threads run, the application's are still suspended or held.
    Instance,
}

pub enum ForkError {
    Clone(Errno),
    /// The template did not come up before the deadline and was killed; its pid is to be reaped.
    Deadline {
        template: i32,
    },
    /// The helper did not write down the descriptors; the template was killed, its pid is to be reaped.
    Descriptors {
        template: i32,
        why: HandError,
    },
}

impl ForkError {
    /// One that was made all the same.
    pub fn template(&self) -> Option<i32> {
        match self {
            Self::Clone(_) => None,
            Self::Deadline { template } | Self::Descriptors { template, .. } => Some(*template),
        }
    }
}

/// What the template works with; see `template`.
pub struct Request<'a> {
    pub control: i32,
    /// The first word of a MAP_SHARED page, 0: the template stores 1 when its descriptors are closed.
    pub shared: &'a AtomicU32,
    pub deadline: u64,
}

/// Forks a child that ends at once, while the application runs. The first fork after a page was written takes its page table entry the
/// right to write, and its page the mark of having one owner; the next one, which the application waits for, finds it so: 200 MB
/// took 2 to 3 ms instead of 5 to 7. Threads that meet a page fault meanwhile wait, all others run.
pub fn rehearse() -> Result<(), Errno> {
    // Of a signal to the process group the child must not hear: the JVM's handlers would run in it.
    let mask = set_signal_mask(u64::MAX);
    // SAFETY: clone(0) is fork with 0 as exit signal. The child goes on here on its own copy of this stack and makes one system call.
    let child = unsafe { call(nr::__NR_clone, [0; 6]) };
    if child == Ok(0) {
        exit_group(0)
    }
    set_signal_mask(mask);
    // Its pages are shared until it is gone: to write one would be to copy it.
    wait_for_child(child? as i32)
}

/// Puts the threads that stand still into their order; how many there are.
fn order(count: u32, leader: u32) -> u32 {
    let mut alive = 0;
    let others = (0..count).filter(|&index| index != leader);
    for index in core::iter::once(leader).chain(others) {
        let (Some(own), Some(next)) = (slot(index), slot(alive)) else { continue };
        // SAFETY: slots below the count are this capture's, and their threads stand still; there are no more of these than slots.
        unsafe {
            if state_of(own).load(SeqCst) == STATE_PARKED {
                (*next).nth = index;
                alive += 1;
            }
        }
    }
    alive
}

/// Whether an instance has a thread that runs on where it is let go first.
fn somebody_runs(count: u32) -> bool {
    // SAFETY: slots below the count are this capture's, and those of parked threads stay as they are.
    let runs = |slot| unsafe { state_of(slot).load(SeqCst) == STATE_PARKED && waits::runs_on(slot) };
    (0..count).filter_map(slot).any(runs)
}

fn wait_for_child(pid: i32) -> Result<(), Errno> {
    loop {
        // SAFETY: wait4 writes no status and no usage (both null).
        match unsafe { call(nr::__NR_wait4, [pid as u64, 0, nr::__WALL.into(), 0, 0, 0]) } {
            Err(Errno(EINTR)) => {}
            waited => return waited.map(drop),
        }
    }
}

/// Forks the template and lets the JVM go, when its descriptors are written down too: the helper does that meanwhile, on another CPU.
/// Consumes the freeze: after this, threads run in every world.
pub fn fork(
    frozen: Frozen,
    handed_over: HandedOver,
    record: CaptureRecord,
    request: &Request<'_>,
) -> Result<World, ForkError> {
    let alive = order(frozen.count, frozen.leader);
    let Some(own) = slot(0) else {
        frozen.thaw();
        return Err(ForkError::Clone(Errno(0)));
    };
    instance::expect(alive, somebody_runs(frozen.count));
    template::prepare(record, request.control, request.shared.as_ptr() as u64);
    // SAFETY: slot 0 is the capturer's; the template's stack is static and used by the child alone.
    let result = unsafe { hotfork_fork(own, template::stack_top(), template::template_main) };
    if result == INSTANCE {
        revival::rejoin(own);
        instance::release_whoever_runs();
        frozen.unblock();
        return Ok(World::Instance);
    }
    if result < 0 {
        frozen.thaw();
        return Err(ForkError::Clone(Errno(-result as i32)));
    }
    let template = result as i32;
    let recorded = handed_over.await_recorded();
    let outcome = match recorded {
        Err(why) => Err(ForkError::Descriptors { template, why }),
        Ok(()) if wait_until_closed(request) => Ok(World::Original { template }),
        Ok(()) => Err(ForkError::Deadline { template }),
    };
    if outcome.is_err() {
        let _ = kill(template, SIGKILL);
    }
    frozen.thaw();
    outcome
}

/// A template that keeps descriptors keeps the JVM's ports busy and its clients waiting.
fn wait_until_closed(request: &Request<'_>) -> bool {
    while request.shared.load(SeqCst) == 0 {
        let now = monotonic();
        if now >= request.deadline {
            return false;
        }
        futex_wait(request.shared, 0, request.deadline - now, true);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rehearsal_leaves_nothing_behind() {
        let before = set_signal_mask(0);
        set_signal_mask(before);
        assert_eq!(rehearse(), Ok(()));
        assert_eq!(set_signal_mask(before), before);
        // SAFETY: waits for nothing and writes nothing.
        let left = unsafe { call(nr::__NR_wait4, [u64::MAX, 0, (nr::__WALL | nr::WNOHANG).into(), 0, 0, 0]) };
        assert_eq!(left, Err(Errno(10)), "ECHILD");
    }
}
