//! CLOCK_MONOTONIC, the clock of `hotfork restore --times`, in nanoseconds.

use nix::sys::time::TimeValLike;
use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

use crate::failure::{During, Outcome};

pub fn now() -> u64 {
    // A kernel without CLOCK_MONOTONIC does not exist.
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |time| time.num_nanoseconds() as u64)
}

/// CPU time of the calling thread.
pub fn cpu_of_thread() -> u64 {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(0, |time| time.num_nanoseconds() as u64)
}

/// CPU time that a process, ended threads included, has used so far.
pub fn cpu_of(pid: u32) -> Outcome<u64> {
    let what = format!("read the CPU time of process {pid}");
    let clock = clock_getcpuclockid(Pid::from_raw(pid as i32)).during(&what)?;
    let time = clock_gettime(clock).during(&what)?;
    Ok(time.num_nanoseconds() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_on() {
        let before = now();
        assert!(before > 0 && now() >= before);
        assert!(cpu_of(std::process::id()).unwrap() > 0);
    }
}
