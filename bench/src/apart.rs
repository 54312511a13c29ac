//! A client that tries again and again, and a process that starts, on two CPUs.
//!
//! The scheduler may put a new process on the CPU of a client that works, as its parent's own seems to be taken until exec, or a client that
//! wakes on that of the new process: either waits there for its turn, 1 to 5 ms in a quarter to a half of the restores. So the client keeps to one CPU, and
//! the process is born on another one; from exec on it may use all.

use crate::failure::{During, Outcome};
use crate::process::Process;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// The calling thread.
const SELF: Pid = Pid::from_raw(0);

/// Nothing is kept apart on a machine with one CPU.
pub struct Apart {
    all: CpuSet,
    cpus: Option<(CpuSet, CpuSet)>,
}

impl Apart {
    pub fn find() -> Outcome<Self> {
        let all = sched_getaffinity(SELF).during("ask for the CPUs")?;
        let mut allowed = (0..CpuSet::count()).filter(|&cpu| all.is_set(cpu) == Ok(true));
        let cpus = match (allowed.next(), allowed.next()) {
            (Some(one), Some(other)) => Some((only(one)?, only(other)?)),
            _ => None,
        };
        Ok(Self { all, cpus })
    }

    /// Keeps the calling thread to the client's CPU.
    pub fn client(&self) -> Outcome<()> {
        self.cpus.as_ref().map_or(Ok(()), |(_, client)| keep(SELF, client))
    }

    /// Starts a process beside the client.
    pub fn start(&self, start: impl FnOnce() -> Outcome<Process>) -> Outcome<Process> {
        let Some((starter, _)) = &self.cpus else { return start() };
        keep(SELF, starter)?;
        let started = start();
        keep(SELF, &self.all)?;
        let process = started?;
        // It has one thread yet: what begins later has the CPUs of its parent.
        keep(Pid::from_raw(process.started_pid().cast_signed()), &self.all)
            .map_err(|failure| process.failure(&failure.0))?;
        Ok(process)
    }
}

fn only(cpu: usize) -> Outcome<CpuSet> {
    let mut set = CpuSet::new();
    set.set(cpu).during("name a CPU")?;
    Ok(set)
}

fn keep(thread: Pid, cpus: &CpuSet) -> Outcome<()> {
    sched_setaffinity(thread, cpus).during("choose the CPUs of a thread")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_process_that_stands_for_a_later_one_starts() {
        let log = std::env::temp_dir().join(format!("hotfork-bench-apart-later-{}.log", std::process::id()));
        // No pid is that high.
        let start = || Ok(Process::spawn("sleep", Command::new("sleep").arg("9"), &log)?.standing_for(1 << 30));
        let started = Apart::find().unwrap().start(start).map(|process| process.kill());
        std::fs::remove_file(&log).unwrap();
        started.unwrap().unwrap();
    }

    #[test]
    fn a_process_may_use_all_cpus_and_its_starter_too() {
        let log = std::env::temp_dir().join(format!("hotfork-bench-apart-{}.log", std::process::id()));
        let before = sched_getaffinity(SELF).unwrap();
        let apart = Apart::find().unwrap();
        let process = apart.start(|| Process::spawn("sleep", Command::new("sleep").arg("9"), &log)).unwrap();
        let of_child = sched_getaffinity(Pid::from_raw(process.pid().cast_signed())).unwrap();
        process.kill().unwrap();
        std::fs::remove_file(&log).unwrap();
        assert_eq!(of_child, before);
        assert_eq!(sched_getaffinity(SELF).unwrap(), before);
        let kept = std::thread::scope(|scope| {
            let client = scope.spawn(|| apart.client().map(|()| sched_getaffinity(SELF).unwrap()));
            client.join().unwrap().unwrap()
        });
        let count = |set: &CpuSet| (0..CpuSet::count()).filter(|&cpu| set.is_set(cpu) == Ok(true)).count();
        assert_eq!(count(&kept), 1);
    }
}
