//! A child whose output is kept, and that ends with its owner.

use crate::failure::{During, Failure, Outcome};
use crate::{clock, hsperf, proc};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

const LINES_SHOWN: usize = 30;

pub struct Process {
    child: Child,
    /// A child of the child, which is meant in its place.
    stands_for: Option<u32>,
    what: String,
    log: PathBuf,
    /// CLOCK_MONOTONIC just before the child was made.
    pub spawned: u64,
}

impl Process {
    /// Standard output and error are appended to `log`.
    pub fn spawn(what: &str, command: &mut Command, log: &Path) -> Outcome<Self> {
        let open = OpenOptions::new().create(true).append(true).open(log);
        let output = open.during(format!("open {}", log.display()))?;
        let error = output.try_clone().during("duplicate a descriptor")?;
        Self::start(what, command.stdout(output).stderr(error), log)
    }

    /// As `spawn`, but standard output is a pipe to this process.
    pub fn spawn_piped(what: &str, command: &mut Command, log: &Path) -> Outcome<Self> {
        let open = OpenOptions::new().create(true).append(true).open(log);
        let error = open.during(format!("open {}", log.display()))?;
        Self::start(what, command.stdout(Stdio::piped()).stderr(error), log)
    }

    fn start(what: &str, command: &mut Command, log: &Path) -> Outcome<Self> {
        let spawned = clock::now();
        let child = command.spawn().during(format!("start {what} ({:?})", command.get_program()))?;
        Ok(Self { child, stands_for: None, what: what.into(), log: log.into(), spawned })
    }

    /// The child is but the parent of what is measured (`criu restore`).
    pub fn standing_for(mut self, pid: u32) -> Self {
        self.stands_for = Some(pid);
        self
    }

    /// Nothing, once the pid is another's.
    fn kill_the_one_stood_for(&self) {
        if let Some(pid) = self.stands_for.filter(|&pid| proc::parent(pid) == Some(self.child.id())) {
            // It may have ended meanwhile.
            let _ = kill(Pid::from_raw(pid as i32), Signal::SIGKILL);
        }
    }

    pub fn pid(&self) -> u32 {
        self.stands_for.unwrap_or(self.child.id())
    }

    /// Of what was started itself: what it stands for is there later.
    pub fn started_pid(&self) -> u32 {
        self.child.id()
    }

    pub fn stdin(&mut self) -> Outcome<ChildStdin> {
        self.child.stdin.take().ok_or_else(|| Failure(format!("{} has no pipe to its standard input", self.what)))
    }

    pub fn stdout(&mut self) -> Outcome<ChildStdout> {
        self.child.stdout.take().ok_or_else(|| Failure(format!("{} has no pipe from its standard output", self.what)))
    }

    /// A failure, with the child's last lines, if it has ended.
    pub fn must_run(&mut self) -> Outcome<()> {
        match self.child.try_wait().during(format!("wait for {}", self.what))? {
            None => Ok(()),
            Some(status) => Err(self.failure(&format!("ended with {status}"))),
        }
    }

    /// Waits for the end, which must be a success.
    pub fn must_succeed(mut self) -> Outcome<()> {
        let status = self.child.wait().during(format!("wait for {}", self.what))?;
        if status.success() { Ok(()) } else { Err(self.failure(&format!("ended with {status}"))) }
    }

    /// What happened to this child, and what it said last.
    pub fn failure(&self, why: &str) -> Failure {
        Failure(format!("{} (pid {}) {why}\n{}", self.what, self.pid(), last_lines(&self.log)))
    }

    /// SIGTERM, and waits until it is gone, however it ends. What it said last.
    pub fn terminate(mut self, within: Duration) -> Outcome<String> {
        let what = format!("end {}", self.what);
        kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM).during(&what)?;
        let deadline = Instant::now() + within;
        while self.child.try_wait().during(&what)?.is_none() {
            if Instant::now() > deadline {
                return Err(self.failure(&format!("has not ended {within:?} after SIGTERM")));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(last_lines(&self.log))
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(mut self) -> Outcome<()> {
        self.kill_the_one_stood_for();
        self.child.kill().during(format!("kill {}", self.what))?;
        self.child.wait().during(format!("wait for {}", self.what))?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill_the_one_stood_for();
        // Where nothing is left to kill, nothing is to be done.
        let _ = self.child.kill();
        let _ = self.child.wait();
        remove_files_of_a_killed_jvm(self.pid());
    }
}

/// What HotSpot removes at a graceful end: its attach socket and its performance memory.
fn remove_files_of_a_killed_jvm(pid: u32) {
    // Most were never made.
    let _ = std::fs::remove_file(format!("/tmp/.java_pid{pid}"));
    for counters in hsperf::files(pid) {
        let _ = std::fs::remove_file(counters);
    }
}

fn last_lines(log: &Path) -> String {
    let bytes = match std::fs::read(log) {
        Ok(bytes) => bytes,
        Err(error) => return format!("(its output cannot be read: {error})"),
    };
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(LINES_SHOWN);
    lines[from..].iter().map(|line| format!("  | {line}")).collect::<Vec<_>>().join("\n")
}

/// Runs a command to its end; its standard output, or what it said on standard error.
pub fn output(what: &str, command: &mut Command) -> Outcome<String> {
    let output = command.stdin(Stdio::null()).output().during(format!("start {what}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Failure(format!("{what} ended with {}: {}", output.status, said.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_child_is_told_with_its_output() {
        let log = std::env::temp_dir().join(format!("hotfork-bench-test-{}.log", std::process::id()));
        let child = Process::spawn("the shell", Command::new("sh").args(["-c", "echo no luck; exit 3"]), &log).unwrap();
        let failure = child.must_succeed().unwrap_err().to_string();
        std::fs::remove_file(&log).unwrap();
        assert!(failure.contains("the shell (pid ") && failure.contains("ended with exit status: 3"), "{failure}");
        assert!(failure.ends_with("  | no luck"), "{failure}");
    }

    #[test]
    fn a_command_that_fails_is_told_with_its_error() {
        let failure = output("the shell", Command::new("sh").args(["-c", "echo why >&2; exit 1"])).unwrap_err();
        assert_eq!(failure.to_string(), "the shell ended with exit status: 1: why");
        assert_eq!(output("the shell", Command::new("sh").args(["-c", "echo yes"])).unwrap(), "yes\n");
    }
}
