//! The clocks, in nanoseconds.

use crate::image::manifest::ClockValues;
use nix::time::{ClockId, clock_gettime};

fn read(clock: ClockId) -> u64 {
    // The kernel has had these three clocks for longer than it has had x86-64's vdso.
    let time = clock_gettime(clock).expect("clock_gettime of a standard clock");
    time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64
}

pub fn monotonic() -> u64 {
    read(ClockId::CLOCK_MONOTONIC)
}

pub fn all() -> ClockValues {
    ClockValues {
        monotonic: monotonic(),
        boottime: read(ClockId::CLOCK_BOOTTIME),
        realtime: read(ClockId::CLOCK_REALTIME),
    }
}
