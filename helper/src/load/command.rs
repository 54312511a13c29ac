//! A load that is somebody else's program: a shell command in a process group of its own.

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// From SIGTERM to SIGKILL.
const ENDS_WITHIN: Duration = Duration::from_secs(2);

pub struct LoadCommand {
    text: String,
    shell: Child,
    over: bool,
}

impl LoadCommand {
    pub fn start(text: &str, port: u16) -> io::Result<Self> {
        let mut shell = Command::new("sh");
        shell.args(["-c", text]).env("HOTFORK_PORT", port.to_string()).process_group(0);
        shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self { text: text.into(), shell: shell.spawn()?, over: false })
    }

    pub fn pause(&self) {
        self.signal(Signal::SIGSTOP);
    }

    pub fn resume(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn group(&self) -> Pid {
        Pid::from_raw(self.shell.id().cast_signed())
    }

    /// Whether there was anybody to signal. The number is the group's as long as one process of it, or its unreaped
    /// leader, is there.
    fn signal(&self, signal: impl Into<Option<Signal>>) -> bool {
        killpg(self.group(), signal).is_ok()
    }

    /// Once: what is wrong with how it has ended.
    pub fn failure(&mut self) -> Option<String> {
        if self.over {
            return None;
        }
        let how = match self.shell.try_wait() {
            Ok(None) => return None,
            Ok(Some(status)) if status.success() => None,
            Ok(Some(status)) => Some(describe(status)),
            Err(error) => Some(error.to_string()),
        };
        self.over = true;
        how.map(|how| {
            format!(
                "the training load has ended with {how}: {} (what it prints is thrown away: run it by hand); the JVM goes on without a load",
                self.text
            )
        })
    }

    /// Ends the command and what it has started in its group.
    pub fn end(self) {
        self.signal(Signal::SIGTERM);
        self.signal(Signal::SIGCONT);
        let end = Instant::now() + ENDS_WITHIN;
        while self.is_there() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.signal(Signal::SIGKILL);
        while self.is_there() && Instant::now() < end + ENDS_WITHIN {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Whether somebody of the group is left. This process adopts those whose parents have ended, and reaps them: a zombie
    /// counts as somebody.
    fn is_there(&self) -> bool {
        loop {
            match waitpid(Pid::from_raw(-self.group().as_raw()), Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => break,
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => {
                    log::debug!("waitpid: {errno}");
                    break;
                }
            }
        }
        self.signal(None)
    }
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => status.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait_for(command: &mut LoadCommand) -> Option<String> {
        let end = Instant::now() + Duration::from_secs(20);
        while !command.over && Instant::now() < end {
            if let Some(failure) = command.failure() {
                return Some(failure);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        None
    }

    #[test]
    fn the_port_is_named_and_a_bad_end_is_told_once() {
        let mut good = LoadCommand::start("test $HOTFORK_PORT = 4711", 4711).unwrap();
        assert_eq!(wait_for(&mut good), None);
        assert!(good.over);
        let mut bad = LoadCommand::start("exit $HOTFORK_PORT", 3).unwrap();
        let failure = wait_for(&mut bad).unwrap();
        assert!(failure.starts_with("the training load has ended with status 3: exit $HOTFORK_PORT ("), "{failure}");
        assert_eq!(bad.failure(), None);
        let mut killed = LoadCommand::start("kill -9 $$", 3).unwrap();
        assert!(wait_for(&mut killed).unwrap().contains("ended with signal 9"));
    }
}
