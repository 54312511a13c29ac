//! From a thread's FS base to HotSpot's structures for it: offsets found on the agent's own thread, and
//! checked there before anything relies on them.
//!
//! # Safety contract of this file
//! Reads the calling thread's own `JavaThread`, `OSThread` and thread-local block, which exist while it runs, and the `OSThread`s of
//! threads that are suspended.
#![allow(unsafe_code)]

use super::libjvm;
use super::vmstructs::{VmStructs, read};
use crate::capture::CaptureError;
use crate::jvm::Jvm;
use hotfork_frozen::hotspot::{IN_NATIVE, LAYOUT, os_thread_id};
use jvmti_bindings::sys::jni;
use std::sync::atomic::Ordering::SeqCst;

/// Fills `hotfork_frozen::hotspot::LAYOUT`.
pub fn locate(jvm: &Jvm, structs: &VmStructs) -> Result<(), CaptureError> {
    let unknown =
        |what: &str| CaptureError::Jvm(format!("this JVM's {what} was not found: Hotfork needs HotSpot 17, 21 or 25"));
    let own = jvm
        .ti
        .get_current_thread()
        .ok()
        .and_then(|thread| java_thread_of(jvm, thread))
        .ok_or_else(|| unknown("java.lang.Thread.eetop"))?;
    let os_thread = structs
        .offset("Thread", "_osthread")
        .or_else(|| structs.offset("JavaThread", "_osthread"))
        .ok_or_else(|| unknown("Thread::_osthread"))?;
    let thread_id = structs.offset("OSThread", "_thread_id").ok_or_else(|| unknown("OSThread::_thread_id"))?;
    let state = structs.offset("JavaThread", "_thread_state").ok_or_else(|| unknown("JavaThread::_thread_state"))?;
    let tid = nix::unistd::gettid().as_raw();
    // SAFETY: `own` is this thread's JavaThread, the offsets are HotSpot's own for it.
    let (recorded_tid, recorded_state) = unsafe {
        let os = read(own + os_thread);
        (*((os + thread_id) as *const i32), *((own + state) as *const u32))
    };
    if recorded_tid != tid || recorded_state != IN_NATIVE {
        return Err(unknown("thread layout"));
    }
    let (module, offset) = current_thread_slot(own).ok_or_else(|| unknown("Thread::_thr_current"))?;
    LAYOUT.tls_module.store(module, SeqCst);
    LAYOUT.current_thread.store(offset, SeqCst);
    LAYOUT.os_thread.store(os_thread, SeqCst);
    LAYOUT.thread_id.store(thread_id, SeqCst);
    LAYOUT.thread_state.store(state, SeqCst);
    LAYOUT.pthread_tid.store(tid_offset(tid).unwrap_or(0), SeqCst);
    Ok(())
}

/// Module id, and offset in libjvm's thread-local block, of the pointer to the current `Thread`.
fn current_thread_slot(own: u64) -> Option<(u64, u64)> {
    let library = libjvm::loaded()?;
    let (block, size) = library.tls_block;
    let words = (0..size / 8).map(|index| index * 8);
    // SAFETY: the block is this thread's own, `size` bytes.
    let offset = (block != 0).then_some(words)?.find(|offset| unsafe { read(block + offset) } == own)?;
    (library.tls_module != 0).then_some((library.tls_module, offset))
}

/// Where glibc keeps the tid in `struct pthread`: for kernels that do not tell (PR_GET_TID_ADDRESS).
fn tid_offset(tid: i32) -> Option<u64> {
    // SAFETY: pthread_self is the address of this thread's `struct pthread`, larger than what is searched.
    unsafe {
        let pthread = libc::pthread_self();
        (0..2304 / 4).map(|index| index * 4).find(|offset| *((pthread + offset) as *const i32) == tid)
    }
}

/// The `JavaThread*` of a live java.lang.Thread.
pub fn java_thread_of(jvm: &Jvm, thread: jni::jthread) -> Option<u64> {
    let class = jvm.class("java/lang/Thread").ok()?;
    // SAFETY: a live local reference to a Thread; `eetop` is a long that HotSpot keeps the JavaThread* in.
    let address = unsafe {
        let field = jvm.jni.get_field_id(class, "eetop", "J");
        let address = field.map(|field| jvm.jni.get_long_field(thread, field));
        jvm.jni.delete_local_ref(class);
        address
    };
    jvm.check("Thread.eetop").ok()?;
    address.filter(|&address| address != 0).map(|address| address as u64)
}

/// The kernel's number of a `JavaThread`.
///
/// # Safety
/// Its thread is suspended, or frozen.
pub unsafe fn tid_of(java_thread: u64) -> Option<i32> {
    // SAFETY: as promised, it does not end while it is read.
    let at = unsafe { os_thread_id(java_thread) };
    // SAFETY: `_thread_id` is an int of its OSThread, which lives as long as the thread does.
    (at != 0).then(|| unsafe { *(at as *const i32) })
}
