//! The Java subjects: programs that set up one kind of state and check it when they are asked.

use crate::hotfork::command;
use crate::jdk::{Collector, Jdk};
use crate::ports::{self, Port};
use crate::process::{self, Process};
use crate::scratch::Scratch;
use crate::{During, Outcome, build, ensure, ensure_eq, jdk, proc, wait};
use regex_lite::Regex;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A subject and its traits, as the main class of the jar lists them.
#[derive(Clone, Debug)]
pub struct Subject {
    pub name: String,
    pub least_jdk: u32,
    pub heap: u32,
    pub port: bool,
    /// One process at a time may have its state.
    pub alone: bool,
    pub options: Vec<String>,
    pub environment: Vec<(String, String)>,
    pub harness: String,
    /// A capture must be refused in words that this matches.
    pub refused: Option<Regex>,
}

/// Everything the jar holds.
pub fn all(jdk: &Jdk) -> Outcome<Vec<Subject>> {
    let jar = build::subjects_jar();
    let list = jdk::run(jdk, "java", &["-cp", &jar.to_string_lossy(), "dev.hotfork.subjects.Subjects"])?;
    let subjects = list.lines().map(parse).collect::<Outcome<Vec<_>>>()?;
    ensure!(!subjects.is_empty(), "{} holds no subjects", jar.display());
    Ok(subjects)
}

pub fn named(subjects: &[Subject], name: &str) -> Outcome<Subject> {
    subjects.iter().find(|subject| subject.name == name).cloned().ok_or_else(|| format!("there is no subject {name}"))
}

fn parse(line: &str) -> Outcome<Subject> {
    let mut fields = line.split('\t');
    let name = fields.next().unwrap_or_default().to_string();
    let mut subject = Subject {
        name,
        least_jdk: 17,
        heap: 128,
        port: false,
        alone: false,
        options: Vec::new(),
        environment: Vec::new(),
        harness: String::new(),
        refused: None,
    };
    for field in fields {
        let (key, value) = field.split_once('=').ok_or_else(|| format!("trait {field:?} of {}", subject.name))?;
        match key {
            "jdk" => subject.least_jdk = value.parse().during(field)?,
            "heap" => subject.heap = value.parse().during(field)?,
            "port" => subject.port = value == "yes",
            "instances" => subject.alone = value == "alone",
            "options" => subject.options = value.split_whitespace().map(str::to_string).collect(),
            "env" => {
                let pairs = value.split_whitespace().filter_map(|pair| pair.split_once('='));
                subject.environment = pairs.map(|(key, value)| (key.into(), value.into())).collect();
            }
            "harness" => subject.harness = value.into(),
            "refused" if !value.is_empty() => subject.refused = Some(Regex::new(value).during(field)?),
            "refused" => {}
            _ => return Err(format!("unknown trait {key:?} of subject {}", subject.name)),
        }
    }
    Ok(subject)
}

/// How the JVM of a subject is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// As always: Hotfork comes by attach.
    Plain,
    /// With the agent on the command line.
    Agent,
    /// By `hotfork run --when manual`.
    Run,
}

impl How {
    pub const ALL: [Self; 3] = [Self::Plain, Self::Agent, Self::Run];
}

/// A place for one subject: its files, its triggers, its port.
pub struct Stage {
    pub subject: Subject,
    pub jdk: Jdk,
    pub collector: Collector,
    pub scratch: Scratch,
    pub options: Vec<String>,
    port: Option<Port>,
}

impl Stage {
    pub fn new(subject: &Subject, jdk: &Jdk, collector: Collector) -> Outcome<Self> {
        let scratch = Scratch::new()?;
        for directory in ["triggers", "files"] {
            std::fs::create_dir(scratch.join(directory)).during(format_args!("make {directory}"))?;
        }
        let port = if subject.port { Some(ports::claim()?) } else { None };
        Ok(Self { subject: subject.clone(), jdk: jdk.clone(), collector, scratch, options: Vec::new(), port })
    }

    pub fn image(&self) -> PathBuf {
        self.scratch.join("image")
    }

    pub fn port(&self) -> Option<u16> {
        self.port.as_ref().map(|port| port.number)
    }

    /// What follows `java`.
    pub fn arguments(&self) -> Vec<OsString> {
        let property = |name: &str, directory: &str| {
            let mut option = OsString::from(format!("-D{name}="));
            option.push(self.scratch.join(directory));
            option
        };
        let mut arguments = vec![
            OsString::from(self.collector.flag()),
            format!("-Xmx{}m", self.subject.heap).into(),
            property("hotfork.trigger", "triggers"),
            property("hotfork.files", "files"),
        ];
        arguments.extend(self.subject.options.iter().chain(&self.options).map(OsString::from));
        arguments.extend(["-cp".into(), build::subjects_jar().into()]);
        arguments.push(format!("dev.hotfork.subjects.{}", self.subject.name).into());
        if let Some(port) = self.port() {
            arguments.extend(["--port".into(), port.to_string().into()]);
        }
        arguments
    }

    /// The command that starts the original.
    pub fn original(&self, how: How) -> Command {
        let mut start = match how {
            How::Plain => Command::new(self.jdk.java()),
            How::Agent => {
                let mut java = Command::new(self.jdk.java());
                let mut option = OsString::from("-agentpath:");
                option.push(build::agent());
                java.arg(option);
                java
            }
            How::Run => {
                let mut run = command(["run", "--when", "manual", "--restore", "never", "--image"]);
                run.arg(self.image()).arg("--").arg(self.jdk.java());
                run
            }
        };
        start.args(self.arguments()).envs(self.subject.environment.iter().cloned()).current_dir(&*self.scratch);
        start
    }

    /// Starts the original and waits until its state is set up.
    pub fn start(&self, how: How) -> Outcome<Process> {
        let name =
            format!("original of {} (jdk {}, {}, {how:?})", self.subject.name, self.jdk.major, self.collector.name());
        let process = Process::start(name, self.original(how))?;
        process.says("READY")?;
        Ok(process)
    }

    /// Restores the image of this stage, at a port of its own.
    pub fn restore(&self) -> Outcome<Process> {
        self.restore_with(&self.image(), |_| {})
    }

    pub fn restore_with(&self, image: &Path, change: impl FnOnce(&mut Command)) -> Outcome<Process> {
        let mut restore = command(["restore"]);
        restore.arg(image);
        if let Some(port) = self.port() {
            restore.args(["--listen", &format!("{port}=0")]);
        }
        change(&mut restore);
        self.watch(Process::start(format!("instance of {}", self.subject.name), restore)?)
    }

    /// Learns what the subject has to know about an instance.
    pub fn watch(&self, instance: Process) -> Outcome<Process> {
        if let Some(old) = self.port() {
            let moved = listening(&instance, old)?;
            self.tell(&instance, "port", &moved.to_string())?;
        }
        Ok(instance)
    }

    /// A file for one process of the subject.
    pub fn tell(&self, process: &Process, what: &str, text: &str) -> Outcome {
        self.tell_pid(process.pid(), what, text)
    }

    pub fn tell_pid(&self, pid: u32, what: &str, text: &str) -> Outcome {
        let file = self.scratch.join("triggers").join(format!("{what}-{pid}"));
        // Under its name only when it is whole: the subject may look at any moment.
        let unfinished = file.with_extension("unfinished");
        std::fs::write(&unfinished, text).during(format_args!("write {}", unfinished.display()))?;
        std::fs::rename(&unfinished, &file).during(format_args!("name {}", file.display()))
    }

    /// Asks a process of the subject to check its state.
    pub fn ask(&self, process: &Process) -> Outcome {
        self.tell(process, "check", "")
    }

    /// Waits for the answer, which must be PASS, and for a good end.
    pub fn passes(&self, process: &mut Process) -> Outcome {
        let answer = process.says_such("a PASS", |line| line == "PASS" || line.starts_with("FAIL "))?;
        ensure_eq!(answer, "PASS", "{}", process.tell("has checked itself"));
        process.ends_with(0)
    }

    pub fn check(&self, process: &mut Process) -> Outcome {
        self.ask(process)?;
        self.passes(process)
    }
}

/// Waits until a process has become the JVM of a subject.
pub fn is_running(process: &Process, subject: &str) -> Outcome {
    is_running_at(process.pid(), subject).map_err(|why| process.tell(&why))
}

pub fn is_running_at(pid: u32, subject: &str) -> Outcome {
    let class = format!("dev.hotfork.subjects.{subject}");
    wait::until(process::LIMIT, "it is the subject's JVM", || {
        // The command line is the process's before its threads are; the name comes with the first thread.
        proc::command_line(pid).is_ok_and(|line| line.contains(&class) && line[0].ends_with("java"))
            && proc::status(pid, "Name").is_ok_and(|name| name == "java")
    })
}

/// The port that an instance says it listens on instead of `old`.
pub fn listening(instance: &Process, old: u16) -> Outcome<u16> {
    let was = format!("(was {old})");
    let line = instance.tells_such(&format!("a line about listening {was}"), |line| {
        line.starts_with("hotfork: listening on ") && line.ends_with(&was)
    })?;
    parse_listening(&line).ok_or_else(|| format!("no port in {line:?}"))
}

/// `hotfork: listening on ADDR:PORT (was OLD)`
fn parse_listening(line: &str) -> Option<u16> {
    line.strip_suffix(')')?.rsplit_once(" (was ")?.0.rsplit_once(':')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traits_are_read() {
        let subject = parse(
            "Load\tjdk=21\theap=160\tport=yes\tinstances=alone\toptions=-Xa -Xb\tenv=A=1 B=x=y\tharness=http\trefused=(?i)udp|datagram",
        )
        .unwrap();
        assert_eq!((subject.name.as_str(), subject.least_jdk, subject.heap), ("Load", 21, 160));
        assert!(subject.port && subject.alone);
        assert_eq!(subject.options, ["-Xa", "-Xb"]);
        assert_eq!(subject.environment, [("A".into(), "1".into()), ("B".into(), "x=y".into())]);
        assert!(subject.refused.unwrap().is_match("a UDP socket"));
        assert!(parse("Plain\trefused=").unwrap().refused.is_none());
    }

    #[test]
    fn unknown_traits_are_not_swallowed() {
        assert_eq!(parse("X\tcolour=red").unwrap_err(), "unknown trait \"colour\" of subject X");
        assert!(parse("X\theap=much").unwrap_err().starts_with("heap=much: "));
        assert_eq!(parse("X\tport").unwrap_err(), "trait \"port\" of X");
    }

    #[test]
    fn the_new_port_is_found() {
        assert_eq!(parse_listening("hotfork: listening on 127.0.0.1:4711 (was 8080)"), Some(4711));
        assert_eq!(parse_listening("hotfork: listening on [::]:80 (was 1)"), Some(80));
        assert_eq!(parse_listening("hotfork: listening on nothing"), None);
    }
}
