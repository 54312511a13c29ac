//! Where HotSpot keeps what a frozen thread's JVM side is: found by the agent before the freeze (from
//! vmStructs and thread-local storage), only followed here.
//!
//! # Safety contract of this file
//! The offsets were checked by the agent against the running JVM's own thread. Addresses are followed
//! while the thread they belong to is frozen, so its `JavaThread` and `OSThread` exist.
#![allow(unsafe_code)]

use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// Offsets, 0 where unknown.
pub struct Layout {
    /// Of the tid in glibc's `struct pthread`.
    pub pthread_tid: AtomicU64,
    /// TLS module id of libjvm.so, and the offset of `Thread::_thr_current` in its block.
    pub tls_module: AtomicU64,
    pub current_thread: AtomicU64,
    /// `Thread::_osthread`, `OSThread::_thread_id`, `JavaThread::_thread_state`
    pub os_thread: AtomicU64,
    pub thread_id: AtomicU64,
    pub thread_state: AtomicU64,
}

pub static LAYOUT: Layout = Layout {
    pthread_tid: AtomicU64::new(0),
    tls_module: AtomicU64::new(0),
    current_thread: AtomicU64::new(0),
    os_thread: AtomicU64::new(0),
    thread_id: AtomicU64::new(0),
    thread_state: AtomicU64::new(0),
};

/// `JavaThreadState::_thread_in_native`, the same number in 17, 21 and 25.
pub const IN_NATIVE: u32 = 4;

pub(crate) fn tid_offset() -> u64 {
    LAYOUT.pthread_tid.load(SeqCst)
}

/// The `Thread*` of the thread with this FS base; `None` for threads that are not HotSpot's.
///
/// The x86-64 TLS ABI: FS points at the TCB, whose second word is the dtv, an array of 16-byte
/// entries indexed by module id; entry -1 holds the array's length.
///
/// # Safety
/// `fs_base` is the FS base of a frozen thread that glibc made.
pub unsafe fn thread_of(fs_base: u64) -> Option<u64> {
    let module = LAYOUT.tls_module.load(SeqCst);
    if module == 0 || fs_base == 0 {
        return None;
    }
    // SAFETY: a glibc thread's TCB holds the dtv at +8, and the dtv its length 16 bytes before entry 0.
    let (dtv, length) = unsafe {
        let dtv = *((fs_base + 8) as *const u64);
        (dtv, *((dtv - 16) as *const u64))
    };
    if module > length {
        return None;
    }
    // SAFETY: the module's entry lies within the dtv's length.
    let block = unsafe { *((dtv + 16 * module) as *const u64) };
    // -1: this thread never touched libjvm's thread-locals.
    if block == 0 || block == u64::MAX {
        return None;
    }
    // SAFETY: the block is this thread's copy of libjvm's TLS segment, which `current_thread` lies in.
    let thread = unsafe { *((block + LAYOUT.current_thread.load(SeqCst)) as *const u64) };
    (thread != 0).then_some(thread)
}

/// Address of the `OSThread::_thread_id` of a `Thread*`, 0 when the layout is unknown.
///
/// # Safety
/// `thread` is a `Thread*` whose thread is frozen, or suspended.
pub unsafe fn os_thread_id(thread: u64) -> u64 {
    let (os_thread, thread_id) = (LAYOUT.os_thread.load(SeqCst), LAYOUT.thread_id.load(SeqCst));
    if os_thread == 0 || thread_id == 0 {
        return 0;
    }
    // SAFETY: `_osthread` is a field of every Thread.
    let os = unsafe { *((thread + os_thread) as *const u64) };
    if os == 0 { 0 } else { os + thread_id }
}

/// Whether a `JavaThread*` is in native code, where a safepoint does not wait for it.
///
/// # Safety
/// As for [`os_thread_id`], and the thread is a JavaThread.
pub unsafe fn in_native(java_thread: u64) -> bool {
    let offset = LAYOUT.thread_state.load(SeqCst);
    // SAFETY: `_thread_state` is a 4-byte field of every JavaThread.
    offset != 0 && unsafe { *((java_thread + offset) as *const u32) } == IN_NATIVE
}
