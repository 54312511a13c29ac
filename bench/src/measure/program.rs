//! The small Java programs of bench/java, which say READY when they are set up.

use crate::bench::Bench;
use crate::failure::{Outcome, fail};
use crate::jdk::{Collector, Jdk};
use crate::process::Process;
use crate::target;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// A program that says nothing for so long hangs.
const HANG: Duration = Duration::from_secs(120);

/// `java` with the classes of bench/java, before its main class.
pub fn java(jdk: &Jdk, collector: Collector, heap: &str) -> Outcome<Command> {
    let classes = target::directory()?.join("bench-classes");
    if !classes.join("dev/hotfork/bench").is_dir() {
        return fail(format!("{} is missing: ./x bench compiles it from bench/java", classes.display()));
    }
    let mut java = Command::new(jdk.java());
    java.args([collector.flag(), heap, "-cp"]).arg(classes).stdin(Stdio::null());
    Ok(java)
}

/// A running program whose standard output is read line by line.
pub struct Program {
    pub process: Process,
    lines: Receiver<String>,
}

impl Program {
    /// Returns when the program has said READY.
    pub fn start(bench: &Bench, what: &str, command: &mut Command) -> Outcome<Self> {
        let mut process = Process::spawn_piped(what, command, &bench.work.join("program.log"))?;
        let output = process.stdout()?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            // Ends with the program, or when nobody listens any more.
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let mut program = Self { process, lines };
        let line = program.line()?;
        if line.starts_with("READY") {
            Ok(program)
        } else {
            Err(program.process.failure(&format!("said {line:?}, not READY")))
        }
    }

    pub fn line(&mut self) -> Outcome<String> {
        match self.lines.recv_timeout(HANG) {
            Ok(line) => Ok(line),
            Err(RecvTimeoutError::Timeout) => Err(self.process.failure("said nothing for two minutes")),
            Err(RecvTimeoutError::Disconnected) => {
                self.process.must_run()?;
                Err(self.process.failure("closed its output"))
            }
        }
    }
}
