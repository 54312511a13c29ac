//! Suspending application threads through JVMTI, so that an instance can be renewed before they run.
//!
//! # Safety contract of this file
//! Threads are local references of the capturing thread, alive as long as its native frame.
#![allow(unsafe_code)]

use super::{CaptureError, in_hand};
use crate::hotspot::java_thread_of;
use crate::jvm::Jvm;
use jvmti_bindings::sys::jni;
use jvmti_bindings::sys::jvmti::{jvmtiCapabilities, jvmtiError};
use std::time::Duration;

/// New threads may start while others are being suspended.
const ROUNDS: u32 = 8;

pub struct Suspension {
    threads: Vec<jni::jthread>,
    /// All threads there are then: whether each one of them is suspended.
    everyone: Vec<(jni::jthread, bool)>,
    java_threads: Vec<u64>,
    virtual_threads: bool,
}

impl Suspension {
    /// Suspends all threads that are not in the JVM's own group. With `max_stop`, those that have something in hand go on a little.
    pub fn all(jvm: &Jvm, max_stop: Option<Duration>) -> Result<Self, CaptureError> {
        acquire(jvm, false)?;
        let mut suspension =
            Self { threads: Vec::new(), everyone: Vec::new(), java_threads: Vec::new(), virtual_threads: false };
        match suspension.suspend(jvm, max_stop) {
            Ok(()) => Ok(suspension),
            Err(error) => {
                suspension.resume(jvm);
                suspension.end(jvm);
                Err(error)
            }
        }
    }

    /// All threads, and whether each one is suspended; those of the JVM's own group are not.
    pub fn everyone(&self) -> &[(jni::jthread, bool)] {
        &self.everyone
    }

    /// Addresses of the suspended `JavaThread`s, sorted.
    pub fn java_threads(&self) -> &[u64] {
        &self.java_threads
    }

    fn suspend(&mut self, jvm: &Jvm, mut max_stop: Option<Duration>) -> Result<(), CaptureError> {
        if has_virtual_threads(jvm) && acquire(jvm, true).is_ok() {
            // SAFETY: no exceptions are passed, the capability is held.
            unsafe { jvm.ti.suspend_all_virtual_threads(&[]) }
                .map_err(|error| CaptureError::Suspend(format!("SuspendAllVirtualThreads said {error:?}")))?;
            self.virtual_threads = true;
        }
        let system = jvm.system_group().map_err(|error| CaptureError::Jvm(error.to_string()))?;
        for _ in 0..ROUNDS {
            let everyone = jvm
                .ti
                .get_all_threads()
                .map_err(|error| CaptureError::Suspend(format!("GetAllThreads said {error:?}")))?;
            let everyone: Vec<_> = everyone.into_iter().map(|thread| (thread, state(jvm, thread, system))).collect();
            let (new, others): (Vec<_>, Vec<_>) = everyone.into_iter().partition(|&(_, state)| state == State::Runs);
            if new.is_empty() {
                self.note_java_threads(jvm);
                self.everyone = others.into_iter().map(|(thread, state)| (thread, state == State::Suspended)).collect();
                return Ok(());
            }
            drop_locals(jvm, others.into_iter().map(|(thread, _)| thread));
            let new: Vec<_> = new.into_iter().map(|(thread, _)| thread).collect();
            // SAFETY: live local references, and the capability is held.
            let results = unsafe { jvm.ti.suspend_thread_list(&new) }
                .map_err(|error| CaptureError::Suspend(format!("SuspendThreadList said {error:?}")))?;
            for (thread, result) in new.into_iter().zip(results) {
                // One that has ended, or that somebody else has suspended, is not ours to resume.
                if result == jvmtiError::NONE {
                    self.threads.push(thread);
                }
            }
            if let Some(max_stop) = max_stop.take() {
                in_hand::end(jvm, &mut self.threads, max_stop);
            }
        }
        Err(CaptureError::TooManyThreads)
    }

    fn note_java_threads(&mut self, jvm: &Jvm) {
        self.java_threads = self.threads.iter().filter_map(|&thread| java_thread_of(jvm, thread)).collect();
        self.java_threads.sort_unstable();
    }

    /// Goes the way of `resume` for threads that are not suspended, and changes nothing. An instance does so when it waits for its
    /// threads anyway: half of what a resumption takes there are page faults in code and data that it meets for the first time.
    pub fn rehearse_resumption(&self, jvm: &Jvm) {
        let running = self.everyone.iter().filter(|(_, suspended)| !suspended).map(|&(thread, _)| thread);
        let some: Vec<_> = running.take(2).collect();
        // SAFETY: live local references; a thread that runs is answered with an error of its own.
        let _ = unsafe { jvm.ti.resume_thread_list(&some) };
    }

    /// Lets them run again.
    pub fn resume(&self, jvm: &Jvm) {
        // SAFETY: the same references that were suspended; the capabilities are still held.
        unsafe {
            if !self.threads.is_empty() {
                if let Err(error) = jvm.ti.resume_thread_list(&self.threads) {
                    log::error!("ResumeThreadList said {error:?}");
                }
            }
            if self.virtual_threads {
                if let Err(error) = jvm.ti.resume_all_virtual_threads(&[]) {
                    log::error!("ResumeAllVirtualThreads said {error:?}");
                }
            }
        }
    }

    /// Gives the capabilities back.
    pub fn end(&self, jvm: &Jvm) {
        let _ = jvm.ti.relinquish_capabilities(&capabilities(self.virtual_threads));
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// The application's, to be suspended.
    Runs,
    Suspended,
    /// One of the JVM's own group, or one that has ended.
    LeftAlone,
}

fn state(jvm: &Jvm, thread: jni::jthread, system: jni::jobject) -> State {
    const SUSPENDED: i32 = 0x10_0000;
    // SAFETY: live local references of this thread; a thread that ends in between gives an error.
    unsafe {
        let Ok(info) = jvm.ti.get_thread_info(thread) else { return State::LeftAlone };
        let of_the_jvm = jvm.jni.is_same_object(info.thread_group, system);
        jvm.jni.delete_local_ref(info.thread_group);
        jvm.jni.delete_local_ref(info.context_class_loader);
        match jvm.ti.get_thread_state(thread) {
            Ok(state) if !of_the_jvm && state & SUSPENDED == 0 => State::Runs,
            Ok(_) if !of_the_jvm => State::Suspended,
            _ => State::LeftAlone,
        }
    }
}

fn drop_locals(jvm: &Jvm, threads: impl Iterator<Item = jni::jthread>) {
    for thread in threads {
        // SAFETY: a local reference of this thread that nobody uses any longer.
        unsafe { jvm.jni.delete_local_ref(thread) };
    }
}

fn capabilities(virtual_threads: bool) -> jvmtiCapabilities {
    let mut capabilities = jvmtiCapabilities::default();
    capabilities.set_can_suspend(true);
    capabilities.set_can_support_virtual_threads(virtual_threads);
    capabilities
}

fn acquire(jvm: &Jvm, virtual_threads: bool) -> Result<(), CaptureError> {
    // can_suspend is a solo capability: one environment at a time may hold it.
    jvm.ti.add_capabilities(&capabilities(virtual_threads)).map_err(|_| CaptureError::SuspendTaken)
}

fn has_virtual_threads(jvm: &Jvm) -> bool {
    jvm.java_version().is_some_and(|version| version >= 21)
}
