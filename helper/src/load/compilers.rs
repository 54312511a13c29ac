//! CPU time of a JVM's compilers. A load without pauses keeps them from what it asks of them: C2's queue, long under full
//! load on few processors, is empty soon after the application pauses.

use crate::proc::Process;
use std::time::Duration;

/// So far. A thread that ends meanwhile is not counted.
pub fn cpu(process: Process) -> Duration {
    let tasks = std::fs::read_dir(process.path("task")).into_iter().flatten().flatten();
    let nanoseconds = tasks.filter_map(|task| {
        let read = |file: &str| std::fs::read_to_string(task.path().join(file)).ok();
        let is_compiler = read("comm")?.contains("CompilerThre");
        read("schedstat").filter(|_| is_compiler)?.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanoseconds.sum())
}
