//! Threads that were at work when they were suspended go on until they wait for something, if that is soon.
//!
//! What is in hand at a capture every instance ends, and most often for nobody: an answer to a connection that is gone. In a
//! Spring service four such requests were 35 uncommon traps in code for failed writes, and the first response came after 20 ms.
//! Whoever waited stays suspended meanwhile, so nothing new is begun.
//!
//! # Safety contract of this file
//! Threads are local references of the capturing thread, alive as long as its native frame. `OSThread`s are read of threads
//! that are suspended, and so do not end.
#![allow(unsafe_code)]

use crate::hotspot::{java_thread_of, tid_of};
use crate::jvm::Jvm;
use crate::warm::{clock, thread_clock, waits};
use hotfork_frozen::syscall::monotonic;
use jvmti_bindings::sys::jni;
use jvmti_bindings::sys::jvmti::jvmtiError;
use std::time::Duration;

/// Threads that never wait are not waited for: so long since the last one came to rest.
const PATIENCE: Duration = Duration::from_millis(2);
/// Those that wait, wait longer for it.
const AT_MOST: Duration = Duration::from_millis(5);
/// Of the time that a stop may take.
const PART_OF_A_STOP: u32 = 10;
/// Nobody is told when a thread goes to sleep.
const LOOKS_EVERY: Duration = Duration::from_micros(100);

/// A suspended thread that has something in hand.
struct Busy {
    thread: jni::jthread,
    tid: i32,
}

/// Lets those of the suspended `threads` that have something in hand go on until they wait. In the end all are suspended again
/// but those that have ended, which are taken out.
pub fn end(jvm: &Jvm, threads: &mut Vec<jni::jthread>, max_stop: Duration) {
    let mut busy: Vec<Busy> = threads.iter().filter_map(|&thread| busy(jvm, thread)).collect();
    if busy.is_empty() {
        return;
    }
    let begin = monotonic();
    let count = busy.len();
    threads.retain(|thread| !busy.iter().any(|busy| busy.thread == *thread));
    busy = resume(jvm, busy, threads);
    let last = begin + AT_MOST.min(max_stop / PART_OF_A_STOP).as_nanos() as u64;
    let mut end = last.min(begin + PATIENCE.as_nanos() as u64);
    while !busy.is_empty() && monotonic() < end {
        std::thread::sleep(LOOKS_EVERY);
        let used = |busy: &Busy| clock(thread_clock(busy.tid));
        let (resting, others): (Vec<_>, Vec<_>) =
            busy.into_iter().map(|one| (used(&one), one)).partition(|(_, one)| waits(one.tid));
        busy = others.into_iter().map(|(_, one)| one).collect();
        let suspended = suspend(jvm, resting.iter().map(|(_, one)| one.thread).collect());
        let resting = resting.into_iter().filter(|(_, one)| suspended.contains(&one.thread));
        // Others were woken before they were suspended.
        let (rest, woken): (Vec<_>, Vec<_>) = resting.partition(|(before, one)| used(one) == *before);
        if !rest.is_empty() {
            end = last.min(monotonic() + PATIENCE.as_nanos() as u64);
        }
        threads.extend(rest.into_iter().map(|(_, one)| one.thread));
        let woken: Vec<Busy> = woken.into_iter().map(|(_, one)| one).collect();
        busy.extend(resume(jvm, woken, threads));
    }
    let left = busy.len();
    threads.extend(suspend(jvm, busy.iter().map(|busy| busy.thread).collect()));
    log::debug!("{count} threads had something in hand, {left} have after {} ns", monotonic() - begin);
}

/// A suspended thread that was on its way, in Java or in native code, and did not wait.
fn busy(jvm: &Jvm, thread: jni::jthread) -> Option<Busy> {
    // Of JVMTI_THREAD_STATE.
    const RUNNABLE: i32 = 0x4;
    const IN_NATIVE: i32 = 0x40_0000;
    // SAFETY: a live local reference.
    let state = unsafe { jvm.ti.get_thread_state(thread) }.ok().filter(|state| state & RUNNABLE != 0)?;
    let java_thread = java_thread_of(jvm, thread)?;
    // SAFETY: the thread is suspended, and so has not ended.
    let tid = unsafe { tid_of(java_thread) }?;
    (state & IN_NATIVE == 0 || !waits(tid)).then_some(Busy { thread, tid })
}

/// Those that go on now. Where the JVM refuses, they are among the suspended `threads` again.
fn resume(jvm: &Jvm, busy: Vec<Busy>, threads: &mut Vec<jni::jthread>) -> Vec<Busy> {
    let these: Vec<_> = busy.iter().map(|busy| busy.thread).collect();
    if these.is_empty() {
        return busy;
    }
    // SAFETY: live local references to threads that this capture has suspended; the capability is held.
    match unsafe { jvm.ti.resume_thread_list(&these) } {
        Ok(_) => busy,
        Err(error) => {
            log::error!("ResumeThreadList said {error:?}");
            threads.extend(these);
            Vec::new()
        }
    }
}

/// Those that are suspended now; others have ended.
fn suspend(jvm: &Jvm, threads: Vec<jni::jthread>) -> Vec<jni::jthread> {
    if threads.is_empty() {
        return threads;
    }
    // SAFETY: live local references, and the capability is held.
    match unsafe { jvm.ti.suspend_thread_list(&threads) } {
        Ok(results) => {
            let suspended = threads.into_iter().zip(results).filter(|(_, result)| *result == jvmtiError::NONE);
            suspended.map(|(thread, _)| thread).collect()
        }
        Err(error) => {
            // Whoever runs is suspended in the next round.
            log::warn!("SuspendThreadList said {error:?}");
            Vec::new()
        }
    }
}
