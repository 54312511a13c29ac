//! The process id that Java code sees: `ProcessHandle.current()` is made once and kept.

use super::java::{Class, KnownClasses, PROCESS_HANDLE};
use super::objects::Long;
use crate::jvm::{JavaError, Jvm};
use std::fs::File;
use std::io::Read;

/// What the JDK adds to a process's start in /proc/PID/stat to get `ProcessHandleImpl.startTime`, in milliseconds. It
/// reads the time of the boot once: in an instance on another host that stays the old host's, for all its processes.
pub struct StartTimes(Option<i64>);

impl StartTimes {
    pub fn look_up(jvm: &Jvm, classes: &KnownClasses) -> Result<Self, JavaError> {
        let Some(own) = OwnHandle::find(jvm, classes)? else { return Ok(Self(None)) };
        let known = own.started.get(jvm);
        // -1: the JDK could not read it either.
        Ok(Self(own_start().filter(|_| known > 0).map(|start| known - start)))
    }
}

/// `ProcessHandle.current()`
pub struct OwnHandle<'a> {
    class: Class<'a>,
    pid: Long,
    started: Long,
}

impl<'a> OwnHandle<'a> {
    /// `None` where nobody has asked for it yet.
    pub fn find(jvm: &Jvm, classes: &'a KnownClasses) -> Result<Option<Self>, JavaError> {
        let Some(class) = classes.initialised(jvm, PROCESS_HANDLE) else { return Ok(None) };
        let Some(current) = class.static_object(jvm, "current", "Ljava/lang/ProcessHandleImpl;")? else {
            return Ok(None);
        };
        let (pid, started) = (class.long(jvm, current, "pid")?, class.long(jvm, current, "startTime")?);
        Ok(Some(Self { class, pid, started }))
    }

    pub fn renew(&self, jvm: &Jvm, times: &StartTimes) -> Result<(), JavaError> {
        let pid = i64::from(std::process::id());
        // The JDK compares start times to tell a process from a later one with its pid.
        let started = match times.0.zip(own_start()) {
            Some((base, start)) => base + start,
            // The JDK's own native method knows, but calling it costs an instance fifty page faults.
            None => self.class.call_static_long(jvm, "isAlive0", pid)?,
        };
        self.pid.set(jvm, pid);
        self.started.set(jvm, started);
        Ok(())
    }
}

/// When this process was started, in milliseconds after the boot.
fn own_start() -> Option<i64> {
    // Read at once: `std::fs::read` asks for the size, which is 0, and then for ever larger pieces.
    let mut room = [0; 1024];
    let length = File::open("/proc/self/stat").and_then(|mut stat| stat.read(&mut room)).ok()?;
    start_in(&room[..length])
}

/// Field 22 of /proc/PID/stat, in ticks of which Linux has told user space 100 a second on every CPU since 2.6.
fn start_in(stat: &[u8]) -> Option<i64> {
    const MILLISECONDS_PER_TICK: i64 = 10;
    // The name in parentheses is field 2 and may hold anything.
    let rest = &stat[stat.iter().rposition(|&byte| byte == b')')? + 1..];
    let field = rest.split(|&byte| byte == b' ').nth(20)?;
    std::str::from_utf8(field).ok()?.parse::<i64>().ok().map(|ticks| ticks * MILLISECONDS_PER_TICK)
}

#[cfg(test)]
mod tests {
    use super::{own_start, start_in};

    #[test]
    fn the_start_is_found_behind_any_name() {
        let rest = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 0 7391 99 100";
        assert_eq!(start_in(format!("77 (a) b) {rest}").as_bytes()), Some(73910));
        assert_eq!(start_in(b"77 (java) S 1"), None);
        assert!(own_start().is_some());
    }
}
