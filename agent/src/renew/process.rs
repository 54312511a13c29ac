//! The process id that Java code sees: `ProcessHandle.current()` is made once and kept.

use super::java::{KnownClasses, PROCESS_HANDLE};
use crate::jvm::{JavaError, Jvm};

pub fn renew(jvm: &Jvm, classes: &KnownClasses) -> Result<(), JavaError> {
    let Some(class) = classes.initialised(jvm, PROCESS_HANDLE) else { return Ok(()) };
    let Some(current) = class.static_object(jvm, "current", "Ljava/lang/ProcessHandleImpl;")? else { return Ok(()) };
    let pid = i64::from(std::process::id());
    // The JDK compares start times to tell a process from a later one with its pid; its own native method
    // knows how it counts them.
    let started = class.call_static_long(jvm, "isAlive0", pid)?;
    class.set_long(jvm, current, "pid", pid)?;
    class.set_long(jvm, current, "startTime", started)
}
