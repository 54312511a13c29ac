//! A process under test: in a process group of its own, its output watched, killed with its guard.

use crate::stream::{Missing, Stream};
use crate::{During, Outcome, ensure_eq, interrupt, proc, remains, wait};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long anything may take that is expected to happen.
pub const LIMIT: Duration = Duration::from_secs(90);

pub struct Process {
    name: String,
    child: Child,
    pub out: Stream,
    pub err: Stream,
    status: Option<ExitStatus>,
}

impl Process {
    /// Starts `command` with an empty stdin.
    pub fn start(name: impl Into<String>, mut command: Command) -> Outcome<Self> {
        command.stdin(Stdio::null());
        Self::start_with_input(name, command)
    }

    /// Starts `command` with the stdin it was given.
    pub fn start_with_input(name: impl Into<String>, mut command: Command) -> Outcome<Self> {
        let name = name.into();
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        command.env(remains::MARK, std::process::id().to_string());
        interrupt::unblocked(&mut command);
        let mut child = command.spawn().during(format_args!("start {name} ({command:?})"))?;
        remains::remember(child.id());
        let out = child.stdout.take().map(Stream::read).unwrap_or_default();
        let err = child.stderr.take().map(Stream::read).unwrap_or_default();
        Ok(Self { name, child, out, err, status: None })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// A line of stdout, whole.
    pub fn says(&self, line: &str) -> Outcome {
        self.says_such(&format!("{line:?}"), |said| said == line).map(drop)
    }

    pub fn says_such(&self, what: &str, wanted: impl Fn(&str) -> bool) -> Outcome<String> {
        self.out.line(LIMIT, wanted).map_err(|missing| self.lacks(&missing, what))
    }

    /// A line of stderr.
    pub fn tells_such(&self, what: &str, wanted: impl Fn(&str) -> bool) -> Outcome<String> {
        self.err.line(LIMIT, wanted).map_err(|missing| self.lacks(&missing, what))
    }

    fn lacks(&self, missing: &Missing, what: &str) -> String {
        let why = match missing {
            Missing::End => "ended",
            Missing::TimeOut => "is silent",
        };
        self.tell(&format!("{why} without {what}"))
    }

    /// Whether it still runs.
    pub fn alive(&mut self) -> Outcome<bool> {
        if self.status.is_none() {
            self.status = self.child.try_wait().during(format_args!("wait for {}", self.name))?;
            if self.status.is_some() {
                remains::has_ended(self.child.id());
            }
        }
        Ok(self.status.is_none())
    }

    /// Sends a signal as soon as the program would not die of it: however early that is, it is not lost.
    pub fn signal_soon(&self, signal: Signal) -> Outcome {
        wait::until(LIMIT, "it blocks or handles the signal", || proc::takes_signal(self.pid(), signal))
            .map_err(|why| self.tell(&why))?;
        self.signal(signal)
    }

    pub fn signal(&self, signal: Signal) -> Outcome {
        kill(self.nix_pid(), signal).during(format_args!("send {signal} to {}", self.name))
    }

    /// Waits for the end, and for the end of its output: nobody may hold that any longer.
    pub fn ends(&mut self) -> Outcome<ExitStatus> {
        let deadline = Instant::now() + LIMIT;
        while self.alive()? {
            if Instant::now() > deadline {
                return Err(self.tell(&format!("does not end within {LIMIT:?}")));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        for (stream, name) in [(&self.out, "stdout"), (&self.err, "stderr")] {
            let held = |_| self.tell(&format!("has ended, but somebody still holds its {name}"));
            stream.end(Duration::from_secs(20)).map_err(held)?;
        }
        self.status.ok_or_else(|| self.tell("has no exit status"))
    }

    /// Waits for the end and for this status; 128 and more is a signal, as in a shell.
    pub fn ends_with(&mut self, code: i32) -> Outcome {
        let status = self.ends()?;
        let found = status.code().or(status.signal().map(|signal| 128 + signal));
        ensure_eq!(found, Some(code), "{}", self.tell("has a wrong exit status"));
        Ok(())
    }

    /// A failure of this process, with what it printed.
    pub fn tell(&self, what: &str) -> String {
        let (out, err) = (tail(&self.out.text()), tail(&self.err.text()));
        format!("{} (pid {}) {what}\n  stdout:\n{out}\n  stderr:\n{err}", self.name, self.pid())
    }

    fn nix_pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The group outlives its leader where that left children; the number is not used again before they are gone.
        let leader_runs = matches!(self.alive(), Ok(true));
        if leader_runs {
            let _ = killpg(self.nix_pid(), Signal::SIGKILL);
            let _ = self.child.wait();
            remains::has_ended(self.child.id());
            remains::remove_those_of_a_killed(self.child.id());
        }
    }
}

/// The last lines, indented.
fn tail(text: &str) -> String {
    const LINES: usize = 40;
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].iter().map(|line| format!("    {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Process {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Process::start("sh", command).unwrap()
    }

    #[test]
    fn output_and_status_are_seen() {
        let mut process = sh("echo out; echo err >&2; exit 7");
        process.says("out").unwrap();
        process.tells_such("err", |line| line == "err").unwrap();
        process.ends_with(7).unwrap();
    }

    #[test]
    fn a_failure_shows_what_was_printed() {
        let mut process = sh("echo clue; kill -TERM $$");
        let failure = process.says("PASS").unwrap_err();
        assert!(failure.contains("ended without \"PASS\"") && failure.contains("    clue"), "{failure}");
        process.ends_with(128 + 15).unwrap();
        assert!(process.ends_with(0).unwrap_err().contains("found Some(143), wanted Some(0)"));
    }

    #[test]
    fn a_guard_kills_the_whole_group() {
        let process = sh("sleep 1000 & echo $!; wait");
        let child = process.says_such("a pid", |_| true).unwrap();
        drop(process);
        crate::wait::until(LIMIT, "the child is gone", || {
            std::fs::read_to_string(format!("/proc/{child}/stat")).map_or(true, |stat| stat.contains(") Z "))
        })
        .unwrap();
    }
}
