//! The clock and the wait with functions in libc's place that show what they are asked.
//!
//! # Safety contract of this file
//! `unsafe` is the calls of `clock`'s two functions, after `instance` has put those of this file in libc's place.
#![allow(unsafe_code)]

extern crate std;
use super::*;
use hotfork_abi::Plain;
use std::sync::Mutex;
use std::vec::Vec;

/// The words of this file are one process's.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
static WAITED: Mutex<Vec<Time>> = Mutex::new(Vec::new());
const HOST: Time = [100, 500_000_000];
const HOST_NANOSECONDS: u64 = 100_500_000_000;
const REALTIME: i32 = 0;
const MONOTONIC: i32 = 1;

unsafe extern "C" fn fake_gettime(clock: i32, time: *mut Time) -> i32 {
    if clock > MONOTONIC {
        return -1;
    }
    // SAFETY: `shows` passes a timespec of its own.
    unsafe { *time = HOST };
    0
}

unsafe extern "C" fn fake_timedwait(_condition: u64, _mutex: u64, until: *const Time) -> i32 {
    // SAFETY: `cond_timedwait` passes the test's timespec, or its own.
    WAITED.lock().unwrap().push(unsafe { *until });
    110
}

/// An instance whose clock showed `captured` at the capture.
fn instance(captured: u64, nap: u64) {
    CLOCK_GETTIME.store(fake_gettime as *const () as u64, SeqCst);
    COND_TIMEDWAIT.store(fake_timedwait as *const () as u64, SeqCst);
    COND_CLOCK.store(4, SeqCst);
    note_slots(null_mut(), 0);
    go_on(&JvmClock { replaced: 1, monotonic: captured, ..JvmClock::zeroed() }, HOST_NANOSECONDS, nap);
}

fn shows(clock: i32) -> (i32, Time) {
    let mut time = [7, 7];
    // SAFETY: `instance` has put `fake_gettime` in libc's place.
    let status = unsafe { clock_gettime(clock, &raw mut time) };
    (status, time)
}

fn waits(flags: u32, until: &Time) -> Time {
    let condition = [0, flags];
    // SAFETY: `instance` has put `fake_timedwait` in libc's place, which looks at the time only, and the clock's word at 4.
    assert_eq!(unsafe { cond_timedwait(&raw const condition as u64, 0, &raw const *until) }, 110);
    WAITED.lock().unwrap().pop().unwrap()
}

#[test]
fn the_clock_goes_on_from_the_capture_whatever_the_host_shows() {
    let _alone = ONE_AT_A_TIME.lock().unwrap();
    for (captured, nap, shown) in [
        (40_700_000_000, 60_000_000_000, [100, 700_000_000]),
        (40_000_000_000, 0, [40, 0]),
        (9_000_000_999_999_999, 1, [9_000_001, 0]),
        (0, 999_999_999, [0, 999_999_999]),
    ] {
        instance(captured, nap);
        assert_eq!(shows(MONOTONIC), (0, shown));
        assert_eq!(of_the_jvm(HOST_NANOSECONDS), captured + nap);
        assert_eq!(shows(REALTIME), (0, HOST), "another clock is the host's");
        assert_eq!(shows(9), (-1, [7, 7]), "what fails, fails");
        // What was due now is due now.
        assert_eq!(waits(COND_CLOCK_MONOTONIC, &shown), HOST);
        assert_eq!(waits(COND_CLOCK_MONOTONIC, &[shown[0] + 2, shown[1]]), [HOST[0] + 2, HOST[1]]);
        assert_eq!(waits(0, &HOST), HOST, "a condition of the wall clock");
    }
}

#[test]
fn where_nothing_was_replaced_the_clock_is_the_hosts() {
    let _alone = ONE_AT_A_TIME.lock().unwrap();
    instance(HOST_NANOSECONDS, 0);
    go_on(&JvmClock { monotonic: 1, ..JvmClock::zeroed() }, HOST_NANOSECONDS, 5);
    assert_eq!(shows(MONOTONIC), (0, HOST));
}

#[test]
fn an_edited_deadline_is_the_hosts_already() {
    let _alone = ONE_AT_A_TIME.lock().unwrap();
    instance(0, 0);
    let edited = marked(HOST_NANOSECONDS + 999_999_999).map(|word| word as i64);
    assert_eq!(edited[0], 101);
    assert!((edited[1] - 499_999_999).abs() < 1024, "{edited:?}");
    let mut slots = [ThreadSlot::zeroed(); 3];
    slots[2].edited = [&raw const edited as u64, edited[0] as u64, edited[1] as u64];
    note_slots(slots.as_mut_ptr(), 3);
    assert_eq!(waits(COND_CLOCK_MONOTONIC, &edited), edited);
    let elsewhere = edited;
    assert_ne!(waits(COND_CLOCK_MONOTONIC, &elsewhere), edited, "the same time, but HotSpot's");
    note_slots(null_mut(), 0);
}
