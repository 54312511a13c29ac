//! HotSpot's compiler threads, as /proc shows them.

use super::Process;
use std::path::PathBuf;
use std::time::Duration;

/// Of the names "C1 CompilerThread0" and "C2 CompilerThread0" the kernel keeps 15 bytes.
pub fn is_compiler(name: &str) -> bool {
    name.contains("CompilerThre")
}

/// CPU time so far. A thread that ends meanwhile is not counted.
pub fn cpu(process: Process) -> Duration {
    let nanoseconds = tasks(process).filter_map(|task| {
        let read = |file: &str| std::fs::read_to_string(task.join(file)).ok();
        let counts = is_compiler(&read("comm")?);
        read("schedstat").filter(|_| counts)?.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanoseconds.sum())
}

/// Whether one runs, or would if it got a processor: on a busy machine that takes longer than a look at `cpu` does.
pub fn want_to_run(process: Process) -> bool {
    let mut stats = tasks(process).filter_map(|task| std::fs::read_to_string(task.join("stat")).ok());
    stats.any(|stat| is_runnable_compiler(&stat))
}

fn tasks(process: Process) -> impl Iterator<Item = PathBuf> {
    std::fs::read_dir(process.path("task")).into_iter().flatten().flatten().map(|task| task.path())
}

/// By /proc/PID/task/TID/stat: name in parentheses, state (proc(5)).
fn is_runnable_compiler(stat: &str) -> bool {
    stat.rsplit_once(") ").is_some_and(|(name, rest)| is_compiler(name) && rest.starts_with('R'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compilers_that_wait_for_a_processor_are_known() {
        assert!(is_runnable_compiler("77 (C1 CompilerThre) R 1 2 3"));
        for other in ["77 (C1 CompilerThre) S 1 2 3", "77 (pool-1-thread-1) R 1 2 3", ""] {
            assert!(!is_runnable_compiler(other), "{other}");
        }
    }
}
