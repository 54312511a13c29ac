//! Ctrl-C: what runs under test has process groups of its own and would not notice.

use crate::{During, Outcome, build, remains};
use nix::sys::signal::{SigSet, Signal, killpg};
use nix::unistd::Pid;

/// From now on an interrupted run ends what it started first. Called before there are other threads.
pub fn watch() -> Outcome {
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        signals.add(signal);
    }
    // Threads to come inherit this; processes do not, std empties their mask.
    signals.thread_block().during("block the signals that interrupt")?;
    std::thread::spawn(move || {
        if let Ok(signal) = signals.wait() {
            for pid in remains::running() {
                let _ = killpg(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
                remains::remove_those_of_a_killed(pid);
            }
            let _ = std::fs::remove_dir_all(build::scratch_of_this_run());
            std::process::exit(128 + signal as i32);
        }
    });
    Ok(())
}
