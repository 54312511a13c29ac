//! The Cat program, which answers its stdin: a command line as users write it.

use hotfork_tests::hotfork::command;
use hotfork_tests::matrix::Cell;
use hotfork_tests::process::Process;
use hotfork_tests::scratch::Scratch;
use hotfork_tests::{During, Outcome, build, hotfork};
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::{ChildStdin, Command, Stdio};

pub struct Cat {
    pub cell: Cell,
    pub scratch: Scratch,
}

/// A process, and the other end of its stdin.
pub struct Talk {
    pub process: Process,
    stdin: ChildStdin,
}

impl Cat {
    /// With a jar of its own, which a test may change.
    pub fn new(cell: &Cell) -> Outcome<Self> {
        let cat = Self { cell: cell.clone(), scratch: Scratch::new()? };
        std::fs::copy(build::programs_jar(), cat.jar()).during("copy the jar")?;
        Ok(cat)
    }

    pub fn jar(&self) -> PathBuf {
        self.scratch.join("cat.jar")
    }

    pub fn image(&self) -> PathBuf {
        self.scratch.join("image")
    }

    pub fn arguments(&self) -> Vec<OsString> {
        let flag = self.cell.collector.flag();
        vec![flag.into(), "-Xmx64m".into(), "-cp".into(), self.jar().into(), "Cat".into(), "an argument".into()]
    }

    /// `hotfork run`, with these options before the command.
    pub fn run(&self, options: &[&str]) -> Command {
        let mut run = command(["run", "--image"]);
        run.arg(self.image()).args(options).arg("--").arg(self.cell.jdk.java()).args(self.arguments());
        run.current_dir(&*self.scratch);
        run
    }

    /// java with the agent and these options of it; `image=` is added.
    pub fn agent(&self, options: &str) -> Command {
        let mut java = Command::new(self.cell.jdk.java());
        java.arg(agent_path(&format!("image={},{options}", self.image().display()))).args(self.arguments());
        java.current_dir(&*self.scratch);
        java
    }

    pub fn restore(&self) -> Command {
        let mut restore = command(["restore"]);
        restore.arg(self.image());
        restore
    }

    /// A JVM without the agent.
    pub fn talk(&self) -> Outcome<Talk> {
        let mut java = Command::new(self.cell.jdk.java());
        java.args(self.arguments()).current_dir(&*self.scratch);
        let talk = Talk::start("original", java)?;
        talk.is_new()?;
        Ok(talk)
    }

    /// An image, and the JVM that it was taken of.
    pub fn taken(&self) -> Outcome<Talk> {
        let talk = self.talk()?;
        hotfork::take(talk.process.pid(), &self.image())?;
        Ok(talk)
    }
}

pub fn agent_path(options: &str) -> String {
    format!("-agentpath:{}={options}", build::agent().display())
}

impl Talk {
    pub fn start(name: &str, mut command: Command) -> Outcome<Self> {
        command.stdin(Stdio::piped());
        let mut process = Process::start_with_input(name, command)?;
        let stdin = process.stdin().ok_or("no stdin")?;
        Ok(Self { process, stdin })
    }

    /// It started from the beginning.
    pub fn is_new(&self) -> Outcome {
        self.process.says("READY an argument")
    }

    /// Says a line and waits until it is answered.
    pub fn say(&mut self, line: &str) -> Outcome {
        self.send(line)?;
        self.process.says(&format!("heard {line}"))
    }

    fn send(&mut self, line: &str) -> Outcome {
        writeln!(self.stdin, "{line}").during(self.process.tell("does not take its input"))
    }

    /// It did not start from the beginning, and answers.
    pub fn is_restored(&mut self, line: &str) -> Outcome {
        self.say(line)?;
        let said = self.process.out.text();
        if said.contains("READY") { Err(self.process.tell("is a new JVM, not a restored one")) } else { Ok(()) }
    }

    /// It ends as it is told to, hooks and all.
    pub fn exits(&mut self, code: i32) -> Outcome {
        self.send(&format!("exit {code}"))?;
        self.process.says("HOOK ran")?;
        self.process.ends_with(code)
    }

    /// Waits for a line that Hotfork prints, which holds this.
    pub fn hotfork_tells(&self, word: &str) -> Outcome<String> {
        self.process.tells_such(&format!("a line of Hotfork's with {word:?}"), |line| {
            line.starts_with("hotfork: ") && line.contains(word)
        })
    }
}
