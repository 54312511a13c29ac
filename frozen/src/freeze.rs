//! Bringing every other thread of the process to a stand-still, and letting them go again.
//!
//! # Safety contract of this file
//! Runs in the capturing thread with all signals blocked. Slots follow the rules of `state`; the
//! buffers are the caller's for as long as the freeze lasts.
#![allow(unsafe_code)]

use crate::arch::Frame;
use crate::descriptors::entry;
use crate::handler::{SI_QUEUE, SignalInfo, describe};
use crate::state::{ARRIVALS, GENERATION, RELEASED, slot, stack_of, state_of};
use crate::syscall::{call, futex_wait, futex_wake_all, getdents64, lseek, monotonic, set_signal_mask, tgkill};
use crate::{Errno, hotspot};
use core::sync::atomic::Ordering::SeqCst;
use hotfork_abi::Plain;
use hotfork_abi::record::{
    FLAG_HELD, FLAG_LATE, FLAG_LEADER, STATE_GONE, STATE_PARKED, STATE_RETRY, STATE_SIGNALLED, ThreadSlot,
};
use linux_raw_sys::general as nr;

/// How often a waiting capturer looks whether a thread has ended instead of answering.
const LOOK_AGAIN: u64 = 1_000_000;
/// The kernel's names of HotSpot's threads.
const ATTACH_LISTENER: &[u8; 16] = b"Attach Listener\0";
const COMPILERS: [&[u8; 16]; 2] = [b"C1 CompilerThre\0", b"C2 CompilerThre\0"];
const ESRCH: i32 = 3;
const EAGAIN: i32 = 11;

/// What a freeze needs, all of it made before.
pub struct Request<'a> {
    pub pid: i32,
    pub tid: i32,
    /// A real-time signal whose handler is `handler::on_freeze`.
    pub signal: i32,
    /// Descriptor of /proc/self/task.
    pub tasks: i32,
    /// CLOCK_MONOTONIC when everything up to the fork must be done.
    pub deadline: u64,
    /// Addresses of the `JavaThread`s that JVMTI has suspended, sorted.
    pub suspended: &'a [u64],
    /// As many slots as threads may be met, the capturer's among them.
    pub tids: &'a mut [i32],
    pub directory: &'a mut [u8],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FreezeError {
    /// This thread had not answered when time was up.
    Deadline {
        tid: i32,
    },
    /// More threads than slots.
    TooMany,
    /// The first thread of the process has ended; its stack and thread structure are gone.
    NoLeader,
    Tasks(Errno),
    Signal {
        tid: i32,
        errno: Errno,
    },
}

/// All other threads stand still. Dropping it does not let them go: say [`Frozen::thaw`].
#[must_use = "frozen threads stay frozen until thaw"]
pub struct Frozen {
    generation: u32,
    old_mask: u64,
    pub count: u32,
    pub leader: u32,
    /// Signals that had to be sent again, for the report.
    pub retries: u32,
}

/// Freezes. On an error everything is running again.
pub fn freeze(request: &mut Request<'_>) -> Result<Frozen, FreezeError> {
    let old_mask = set_signal_mask(u64::MAX);
    let generation = GENERATION.fetch_add(1, SeqCst).wrapping_add(1);
    let mut frozen = Frozen { generation, old_mask, count: 1, leader: 0, retries: 0 };
    match stop_all(request, &mut frozen) {
        Ok(()) => Ok(frozen),
        Err(error) => {
            frozen.thaw();
            Err(error)
        }
    }
}

fn stop_all(request: &mut Request<'_>, frozen: &mut Frozen) -> Result<(), FreezeError> {
    let own = slot(0).ok_or(FreezeError::TooMany)?;
    // SAFETY: slot 0 is the capturer's own.
    unsafe {
        describe(own);
        (*own).flags = 0;
        state_of(own).store(STATE_PARKED, SeqCst);
    }
    *request.tids.first_mut().ok_or(FreezeError::TooMany)? = request.tid;
    loop {
        let new = signal_new_tasks(request, frozen)?;
        wait_for_answers(request, frozen)?;
        if new == 0 {
            break;
        }
    }
    classify(request, frozen)
}

/// Signals every task that has no slot yet; returns how many there were.
fn signal_new_tasks(request: &mut Request<'_>, frozen: &mut Frozen) -> Result<u32, FreezeError> {
    let mut new = 0;
    lseek(request.tasks, 0, nr::SEEK_SET).map_err(FreezeError::Tasks)?;
    loop {
        let filled = getdents64(request.tasks, request.directory).map_err(FreezeError::Tasks)? as usize;
        if filled == 0 {
            return Ok(new);
        }
        let mut at = 0;
        while at < filled {
            let Some((tid, length)) = entry(request.directory, at) else { break };
            at += length;
            let known = request.tids.get(..frozen.count as usize).unwrap_or(&[]);
            let Some(tid) = tid else { continue };
            if known.contains(&tid) {
                continue;
            }
            let index = frozen.count;
            let (Some(place), Some(slot)) = (request.tids.get_mut(index as usize), slot(index)) else {
                return Err(FreezeError::TooMany);
            };
            *place = tid;
            // SAFETY: no thread has been told of this slot yet, so it is the capturer's.
            unsafe {
                *slot = ThreadSlot::zeroed();
                (*slot).tid = tid;
                (*slot).stack = stack_of(index);
                (*slot).flags = if tid == request.pid { FLAG_LEADER } else { 0 };
            }
            frozen.count += 1;
            new += 1;
            send(request, frozen, index)?;
        }
    }
}

/// Signals the thread of slot `index`.
fn send(request: &Request<'_>, frozen: &Frozen, index: u32) -> Result<(), FreezeError> {
    let Some(slot) = slot(index) else { return Err(FreezeError::TooMany) };
    // SAFETY: the thread does not use its slot before it is signalled; its tid was set by the capturer.
    let (tid, state) = unsafe { ((*slot).tid, state_of(slot)) };
    state.store(STATE_SIGNALLED, SeqCst);
    let info = SignalInfo {
        signal: request.signal,
        errno: 0,
        code: SI_QUEUE,
        spare: 0,
        pid: request.pid,
        uid: 0,
        value: (u64::from(frozen.generation) << 32) | u64::from(index),
        rest: [0; 12],
    };
    loop {
        let arguments = [request.pid as u64, tid as u64, request.signal as u64, &raw const info as u64, 0, 0];
        // SAFETY: the kernel reads one siginfo_t of 128 bytes, which `SignalInfo` is.
        match unsafe { call(nr::__NR_rt_tgsigqueueinfo, arguments) } {
            Ok(_) => return Ok(()),
            Err(Errno(ESRCH)) => {
                state.store(STATE_GONE, SeqCst);
                return Ok(());
            }
            // RLIMIT_SIGPENDING: others of the user have signals queued. It passes, or the deadline does.
            Err(Errno(EAGAIN)) if monotonic() < request.deadline => {
                futex_wait(&ARRIVALS.target, ARRIVALS.target.load(SeqCst), LOOK_AGAIN / 10, false);
            }
            Err(errno) => return Err(FreezeError::Signal { tid, errno }),
        }
    }
}

/// Until every slot is parked or gone. Threads that turned back are signalled again.
fn wait_for_answers(request: &Request<'_>, frozen: &mut Frozen) -> Result<(), FreezeError> {
    loop {
        let seen = ARRIVALS.count.load(SeqCst);
        let mut pending = 0;
        let mut first_pending = 0;
        for index in 1..frozen.count {
            let Some(slot) = slot(index) else { continue };
            // SAFETY: slots below the count are this capture's.
            let state = unsafe { state_of(slot) };
            match state.load(SeqCst) {
                STATE_RETRY => {
                    // SAFETY: the thread has answered and not been signalled again: the slot is the capturer's.
                    unsafe { (*slot).retries += 1 };
                    frozen.retries += 1;
                    send(request, frozen, index)?;
                }
                STATE_SIGNALLED => {}
                _ => continue,
            }
            pending += 1;
            if first_pending == 0 {
                // SAFETY: the tid was written before the signal and the handler stores the same one.
                first_pending = unsafe { (*slot).tid };
            }
        }
        if pending == 0 {
            return Ok(());
        }
        if monotonic() > request.deadline {
            return Err(FreezeError::Deadline { tid: first_pending });
        }
        ARRIVALS.target.store(seen.wrapping_add(pending), SeqCst);
        let before = monotonic();
        while ARRIVALS.count.load(SeqCst).wrapping_sub(seen) < pending && monotonic() - before < LOOK_AGAIN {
            let now = ARRIVALS.count.load(SeqCst);
            if now.wrapping_sub(seen) < pending {
                futex_wait(&ARRIVALS.count, now, LOOK_AGAIN, false);
            }
        }
        if ARRIVALS.count.load(SeqCst).wrapping_sub(seen) < pending {
            forget_the_gone(request, frozen);
        }
    }
}

/// Threads that ended with the signal pending never answer.
fn forget_the_gone(request: &Request<'_>, frozen: &Frozen) {
    for index in 1..frozen.count {
        let Some(slot) = slot(index) else { continue };
        // SAFETY: as in wait_for_answers.
        let (tid, state) = unsafe { ((*slot).tid, state_of(slot)) };
        if state.load(SeqCst) == STATE_SIGNALLED && tgkill(request.pid, tid, 0) == Err(Errno(ESRCH)) {
            state.store(STATE_GONE, SeqCst);
        }
    }
}

/// Finds the leader, each thread's `OSThread`, and which threads to hold back in an instance: suspended
/// application threads that wait in a system call, and those that would compete with its first moments.
/// (One that computes in native code is let go: it may hold the allocator's lock, and stops by itself on its way back to Java.)
fn classify(request: &Request<'_>, frozen: &mut Frozen) -> Result<(), FreezeError> {
    for index in 0..frozen.count {
        let Some(slot) = slot(index) else { continue };
        // SAFETY: all threads stand still, so every slot is the capturer's, every parked thread's fs base
        // and frame are valid, and `suspended` lists JavaThreads that exist.
        unsafe {
            if state_of(slot).load(SeqCst) != STATE_PARKED {
                continue;
            }
            if (*slot).flags & FLAG_LEADER != 0 {
                frozen.leader = index;
            }
            let Some(thread) = hotspot::thread_of((*slot).fs_base) else { continue };
            (*slot).os_thread_id = hotspot::os_thread_id(thread);
            if (*slot).ucontext == 0 {
                continue;
            }
            let frame = Frame::new((*slot).ucontext);
            (*slot).edited[0] = frame.futex_deadline().unwrap_or(0);
            if competes(&(*slot).name, frame) {
                (*slot).flags |= FLAG_LATE;
            } else if request.suspended.binary_search(&thread).is_ok()
                && hotspot::in_native(thread)
                && frame.interrupted_call().is_some_and(waits_for_others)
            {
                (*slot).flags |= FLAG_HELD;
            }
        }
    }
    if frozen.leader == 0 { Err(FreezeError::NoLeader) } else { Ok(()) }
}

/// The attach listener ends in an instance (its socket is the captured JVM's), which takes a hundred page faults and the lock of the
/// address space. A compiler without a task waits for one with a timeout, in a wait that holds no lock: what the first requests queue it compiles
/// when they are answered.
fn competes(name: &[u8; 16], frame: Frame) -> bool {
    if COMPILERS.contains(&name) {
        return frame.futex_deadline().is_some();
    }
    name == ATTACH_LISTENER && frame.interrupted_call().is_some_and(waits_for_others)
}

/// Whether this interrupted system call is one in which a thread waits for the outside world.
fn waits_for_others(number: i64) -> bool {
    const CALLS: [u32; 15] = [
        nr::__NR_read,
        nr::__NR_readv,
        nr::__NR_pread64,
        nr::__NR_recvfrom,
        nr::__NR_recvmsg,
        nr::__NR_accept,
        nr::__NR_accept4,
        nr::__NR_connect,
        nr::__NR_poll,
        nr::__NR_ppoll,
        nr::__NR_select,
        nr::__NR_pselect6,
        nr::__NR_epoll_wait,
        nr::__NR_epoll_pwait,
        nr::__NR_epoll_pwait2,
    ];
    // -1: poll and epoll_wait are not made again by the kernel, they answer EINTR.
    number == -1 || CALLS.iter().any(|&call| i64::from(call) == number)
}

impl Frozen {
    /// Lets every thread go.
    pub fn thaw(self) {
        RELEASED.store(self.generation, SeqCst);
        futex_wake_all(&RELEASED, false);
        set_signal_mask(self.old_mask);
    }

    /// In an instance: the capturing thread's own mask again.
    pub(crate) fn unblock(self) {
        RELEASED.store(self.generation, SeqCst);
        set_signal_mask(self.old_mask);
    }
}
