//! Samples of where application threads spend their CPU time: each gets a timer on its own CPU clock, whose signal
//! it receives itself. (A timer on the process's clock finds the thread that runs only since Linux 6.4.) A thread that
//! sleeps costs nothing.
//!
//! # Safety contract of this file
//! Wraps timer_create, timer_settime and timer_delete. The signal's handler is `hotfork_frozen::handler::on_freeze`, which
//! is never removed.
#![allow(unsafe_code)]

use super::threads::thread_clock;
use hotfork_frozen::instance::epoch;
use hotfork_frozen::sampling;
use std::collections::{HashMap, HashSet};
use std::mem::zeroed;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

/// Of a thread's CPU time. The kernel looks at its ticks only: 1 to 10 ms.
const INTERVAL: libc::c_long = 5_000_000;

/// The user's RLIMIT_SIGPENDING is the application's as well: these threads are enough of it.
const TIMERS_AT_MOST: usize = 256;

/// Which instance's threads have timers, plus one: there may be two samplers (`watch` besides a promise), which read one ring.
static OWNED: AtomicU32 = AtomicU32::new(0);

pub struct Sampler {
    signal: i32,
    timers: HashMap<i32, libc::timer_t>,
    read: u32,
    /// Timers belong to a process; those of the captured JVM are not an instance's.
    epoch: u32,
    full: bool,
    /// The timers are this one's.
    owner: bool,
}

impl Sampler {
    /// `signal` has the handler.
    pub fn new(signal: i32) -> Self {
        Self { signal, timers: HashMap::new(), read: sampling::written(), epoch: epoch(), full: false, owner: false }
    }

    /// From now on these threads are sampled, and no others.
    pub fn follow(&mut self, threads: impl Iterator<Item = i32>) {
        if !self.owner {
            let (seen, mine) = (OWNED.load(SeqCst), self.epoch + 1);
            self.owner = seen != mine && OWNED.compare_exchange(seen, mine, SeqCst, SeqCst).is_ok();
        }
        if !self.owner {
            return;
        }
        let wanted: HashSet<i32> = threads.take(TIMERS_AT_MOST).collect();
        self.timers.retain(|tid, timer| {
            let stays = wanted.contains(tid);
            if !stays {
                delete(*timer);
            }
            stays
        });
        for tid in wanted {
            if self.full || self.timers.contains_key(&tid) {
                continue;
            }
            match create(tid, self.signal) {
                Ok(timer) => drop(self.timers.insert(tid, timer)),
                // RLIMIT_SIGPENDING: those that have one must do.
                Err(nix::errno::Errno::EAGAIN) => self.full = true,
                // It has ended since.
                Err(errno) => log::trace!("no timer for thread {tid}: {errno}"),
            }
        }
    }

    /// Instruction pointers since the last call.
    pub fn take(&mut self) -> impl Iterator<Item = u64> + use<> {
        let written = sampling::written();
        let count = written.wrapping_sub(self.read).min(sampling::CAPACITY);
        self.read = written;
        (0..count).map(move |back| sampling::sample(written.wrapping_sub(count - back)))
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        if self.owner && self.epoch == epoch() {
            OWNED.store(0, SeqCst);
            self.timers.values().for_each(|&timer| delete(timer));
        }
    }
}

fn create(tid: i32, signal: i32) -> Result<libc::timer_t, nix::errno::Errno> {
    // SAFETY: an all-zero sigevent and an all-zero itimerspec are valid values.
    let (mut event, mut time) = unsafe { (zeroed::<libc::sigevent>(), zeroed::<libc::itimerspec>()) };
    event.sigev_notify = libc::SIGEV_THREAD_ID;
    event.sigev_signo = signal;
    event.sigev_notify_thread_id = tid;
    time.it_interval.tv_nsec = INTERVAL;
    time.it_value.tv_nsec = INTERVAL;
    let mut timer: libc::timer_t = std::ptr::null_mut();
    // SAFETY: the kernel reads the event and the times, and writes the timer's id; the signal has a handler.
    unsafe {
        if libc::timer_create(thread_clock(tid), &raw mut event, &raw mut timer) != 0 {
            return Err(nix::errno::Errno::last());
        }
        if libc::timer_settime(timer, 0, &raw const time, std::ptr::null_mut()) != 0 {
            let errno = nix::errno::Errno::last();
            delete(timer);
            return Err(errno);
        }
    }
    Ok(timer)
}

fn delete(timer: libc::timer_t) {
    // SAFETY: the id of a timer that `create` made and nobody else deletes.
    if unsafe { libc::timer_delete(timer) } != 0 {
        log::debug!("timer_delete: {}", nix::errno::Errno::last());
    }
}
