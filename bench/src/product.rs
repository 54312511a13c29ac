//! What is measured: the agent and the `hotfork` executable, beside this one.

use crate::failure::{During, Failure, Outcome, fail};
use crate::process::output;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

pub struct Product {
    pub hotfork: PathBuf,
    pub agent: PathBuf,
}

/// What `hotfork snapshot --json` says.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Saved {
    /// Bytes of the image file.
    pub size: u64,
    /// CLOCK_MONOTONIC when the first application thread was asked to stop.
    pub stop_began_ns: u64,
    /// CLOCK_MONOTONIC when the JVM was found warm.
    #[serde(default)]
    pub verdict_ns: Option<u64>,
    /// How long application threads stood still, as the agent saw it.
    pub stopped_ns: u64,
    pub saving_ns: u64,
    /// A better image may follow.
    #[serde(default)]
    pub taken_again: bool,
}

impl Saved {
    /// When it was decided to take the image: before what is done to bring the JVM to rest.
    pub fn decided_ns(&self) -> u64 {
        self.verdict_ns.unwrap_or(self.stop_began_ns)
    }
}

impl Product {
    pub fn find() -> Outcome<Self> {
        let own = std::env::current_exe().during("find this executable")?;
        let beside = |name: &str| match own.with_file_name(name) {
            path if path.is_file() => Ok(path),
            path => fail(format!("{} is missing: ./x bench and ./x demo build it", path.display())),
        };
        Ok(Self { hotfork: beside("hotfork")?, agent: beside("libhotfork.so")? })
    }

    /// `hotfork run` of a command, as a user writes it: warmed by Hotfork's own load until it is warm, and captured.
    pub fn run(&self, image: &Path, urls: &[String], java: &Command) -> Command {
        let mut command = Command::new(&self.hotfork);
        command.args(["run", "--restore", "never", "--max-stop", "2s", "--image"]).arg(image);
        command.args(urls.iter().flat_map(|url| ["--load", url]));
        command.arg("--").arg(java.get_program()).args(java.get_args()).stdin(Stdio::null());
        command
    }

    /// Takes an image and brings it to the disk, so that its pages are clean.
    pub fn snapshot(&self, pid: u32, image: &Path, options: &[&str]) -> Outcome<Saved> {
        let mut command = Command::new(&self.hotfork);
        // On a busy machine a capture is to be told as slow, not given up.
        command
            .args(["snapshot", "--json", "--max-stop", "2s", "--image"])
            .arg(image)
            .args(options)
            .arg(pid.to_string());
        let text = output("hotfork snapshot", &mut command)?;
        let saved = serde_json::from_str(&text)
            .map_err(|error| Failure(format!("hotfork snapshot --json printed {text:?}: {error}")))?;
        let sync = std::fs::File::open(image).and_then(|file| file.sync_all());
        sync.during(format!("sync {}", image.display()))?;
        Ok(saved)
    }

    /// `hotfork watch --until-warm`: whether the detector finds the JVM warm in that time.
    pub fn is_warm_within(&self, pid: u32, time: Duration) -> Outcome<bool> {
        let mut command = Command::new(&self.hotfork);
        command.args(["watch", "--until-warm", "--for"]).arg(format!("{}s", time.as_secs())).arg(pid.to_string());
        let watched = command.stdin(Stdio::null()).output().during("start hotfork watch")?;
        match watched.status.code() {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            _ => fail(format!("hotfork watch: {}", String::from_utf8_lossy(&watched.stderr).trim())),
        }
    }

    /// `hotfork restore`, with the ports moved as told. The file for its times is made here: a file system takes longer for that than
    /// a restore should be said to take.
    pub fn restore(&self, image: &Path, times: &Path, listen: Option<(u16, u16)>) -> Outcome<Command> {
        std::fs::File::create(times).during(format!("make {}", times.display()))?;
        let mut command = Command::new(&self.hotfork);
        command.arg("restore").arg(image).arg("--quiet").arg("--times").arg(times).stdin(Stdio::null());
        if let Some((old, new)) = listen {
            command.arg("--listen").arg(format!("{old}={new}"));
        }
        Ok(command)
    }
}
