//! The instance of a trial.
//!
//! # Safety contract of this file
//! `unsafe` runs three system calls between fork and exec of the instance; they touch no memory.
#![allow(unsafe_code)]

use crate::image::manifest::{Kind, Manifest};
use crate::proc::{Process, compilers};
use hotfork_abi::restore::FIRST_MOMENTS;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, getppid, setsid};
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A restore takes milliseconds.
const LISTENS_WITHIN: Duration = Duration::from_secs(10);
/// However slow the application is.
const TRIAL_AT_MOST: Duration = Duration::from_secs(60);

const LOOKS_EVERY: Duration = Duration::from_millis(2);
/// An instance rests when no thread has used any CPU time for so long.
const RESTS: Duration = Duration::from_millis(10);
const RESTS_WITHIN: Duration = Duration::from_millis(200);
/// Before, an instance keeps its compilers from their work.
const COMPILERS_BEGIN: Duration = Duration::from_nanos(FIRST_MOMENTS);
const COMPILERS_REST: Duration = Duration::from_millis(25);
const COMPILERS_REST_WITHIN: Duration = Duration::from_millis(500);

pub struct Instance {
    child: Child,
    /// Old port, where it listens.
    addresses: HashMap<u16, SocketAddr>,
    /// What HotSpot would remove at its end, and does not when it is killed.
    perf_file: Option<PathBuf>,
    /// None once it has ended.
    watch: Option<Watch>,
}

/// Ends the instance when its time is over.
struct Watch {
    /// Dropped when the trial is over.
    trial: mpsc::Sender<()>,
    /// Whether it had to.
    thread: JoinHandle<bool>,
}

/// What it had used at some moment.
pub struct Used {
    pub faults: u64,
    /// Name and CPU time in nanoseconds of each thread that used any.
    pub threads: Vec<(String, u64)>,
}

impl Instance {
    pub fn start(image: &Path, manifest: &Manifest) -> Result<Self, String> {
        let old: BTreeSet<u16> = manifest.descriptors.descriptions.iter().filter_map(|one| port(&one.kind)).collect();
        let mut command = Command::new("/proc/self/exe");
        command.arg("restore").arg(image).arg("--discard-writes");
        for port in &old {
            command.arg("--listen").arg(format!("{port}=0"));
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let own = Pid::this();
        let tie = move || {
            // What the application starts is in its session, and ends with it.
            setsid()?;
            // Kept by exec (prctl(2)) and by the JVM, which this process becomes: a killed helper leaves no instance.
            set_pdeathsig(Signal::SIGKILL)?;
            // Of a parent that had ended before nothing would be heard.
            if getppid() == own { Ok(()) } else { Err(std::io::ErrorKind::BrokenPipe.into()) }
        };
        // SAFETY: `tie` makes three system calls and allocates nothing, as a child of a process with threads must; its
        // errors are made of numbers.
        unsafe { command.pre_exec(tie) };
        let mut child = command.spawn().map_err(|error| format!("cannot start an instance: {error}"))?;
        let watch = Watch::over(group(&child));
        let lines = child.stderr.take().map(read_lines);
        let perf = manifest.entry.perf_file.as_ref().and_then(|file| file.parent());
        let perf_file = perf.map(|directory| directory.join(child.id().to_string()));
        let mut instance = Self { child, addresses: HashMap::new(), perf_file, watch: Some(watch) };
        let lines = lines.ok_or("an instance without an output")?;
        instance.meet(&lines, old.len())?;
        Ok(instance)
    }

    /// Reads where it listens.
    fn meet(&mut self, lines: &mpsc::Receiver<String>, count: usize) -> Result<(), String> {
        let end = Instant::now() + LISTENS_WITHIN;
        let mut last = "nothing".to_owned();
        while self.addresses.len() < count {
            match lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    if let Some((new, old)) = moved(&line) {
                        self.addresses.insert(old, new);
                    }
                    last = line;
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    return Err(format!("the image was not restored; its instance has ended, and said last: {last}"));
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    let within = LISTENS_WITHIN.as_secs();
                    return Err(format!("its instance does not listen after {within} s; it said last: {last}"));
                }
            }
        }
        Ok(())
    }

    /// Whether it had to be ended before.
    pub fn end(mut self) -> bool {
        self.stop()
    }

    fn stop(&mut self) -> bool {
        let Some(watch) = self.watch.take() else { return false };
        // From here on nobody else sends signals to this number, which is the group's until the instance is waited for.
        let slow = watch.end();
        kill(group(&self.child));
        if let Err(error) = self.child.wait() {
            log::warn!("cannot wait for the trial's instance {}: {error}", self.child.id());
        }
        if let Some(file) = &self.perf_file {
            // Not there where the instance could not make one.
            let _ = fs::remove_file(file);
        }
        slow
    }

    pub fn process(&self) -> Process {
        Process(self.child.id() as i32)
    }

    pub fn address(&self, old: u16) -> Option<SocketAddr> {
        self.addresses.get(&old).copied()
    }

    /// Waits until its threads are there, and have done what they do without a request. Since when they were there.
    pub fn comes_to_rest(&self, threads: usize) -> Result<Instant, String> {
        let end = Instant::now() + LISTENS_WITHIN;
        let tasks = self.process().path("task");
        // It is counted here before its threads are: what it became the instance from has one.
        while fs::read_dir(&tasks).map_or(0, |tasks| tasks.count()) < threads {
            if Instant::now() > end {
                return Err(format!(
                    "its instance has not got its {threads} threads within {} s",
                    LISTENS_WITHIN.as_secs()
                ));
            }
            std::thread::sleep(LOOKS_EVERY);
        }
        let alive = Instant::now();
        // An application that works on by itself never rests.
        let end = Instant::now() + RESTS_WITHIN;
        let mut before = self.cpu();
        loop {
            std::thread::sleep(RESTS);
            let now = self.cpu();
            if now == before || Instant::now() > end {
                return Ok(alive);
            }
            before = now;
        }
    }

    /// CPU time that the compilers have used, in nanoseconds, once they have come to what was asked of them.
    pub fn compiled(&self, alive: Instant) -> u64 {
        std::thread::sleep(COMPILERS_BEGIN.saturating_sub(alive.elapsed()));
        let end = Instant::now() + COMPILERS_REST_WITHIN;
        let mut before = compilers::cpu(self.process());
        loop {
            std::thread::sleep(COMPILERS_REST);
            let now = compilers::cpu(self.process());
            if now == before && !compilers::want_to_run(self.process()) || Instant::now() > end {
                return now.as_nanos() as u64;
            }
            before = now;
        }
    }

    fn cpu(&self) -> u64 {
        self.used().threads.iter().map(|(_, cpu)| cpu).sum()
    }

    /// What it has used so far, as far as /proc tells.
    pub fn used(&self) -> Used {
        let process = self.process();
        let stat = fs::read_to_string(process.path("stat")).unwrap_or_default();
        // Behind the name, which may hold anything: state is field 3, minflt field 10 (proc(5)).
        let faults = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_ascii_whitespace().nth(7)?.parse().ok());
        let tasks = fs::read_dir(process.path("task")).into_iter().flatten().flatten();
        let mut threads: Vec<(String, u64)> = tasks
            .filter_map(|task| {
                let read = |file| fs::read_to_string(task.path().join(file)).ok();
                let cpu = read("schedstat")?.split(' ').next()?.parse().ok()?;
                Some((read("comm")?.trim_end().to_owned(), cpu))
            })
            .filter(|&(_, cpu)| cpu > 0)
            .collect();
        threads.sort_by_key(|&(_, cpu)| std::cmp::Reverse(cpu));
        Used { faults: faults.unwrap_or(0), threads }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Watch {
    fn over(group: Pid) -> Self {
        let (trial, over) = mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            let slow = over.recv_timeout(TRIAL_AT_MOST) == Err(mpsc::RecvTimeoutError::Timeout);
            if slow {
                // It is waited for only after this thread has ended, so the number is still its own.
                kill(group);
            }
            slow
        });
        Self { trial, thread }
    }

    fn end(self) -> bool {
        drop(self.trial);
        // It has nothing to panic about.
        self.thread.join().unwrap_or(false)
    }
}

pub fn too_slow() -> String {
    format!("the instance was ended after {} s; name addresses that are answered sooner", TRIAL_AT_MOST.as_secs())
}

/// It leads a session, and so a process group, of its own.
fn group(child: &Child) -> Pid {
    Pid::from_raw(child.id().cast_signed())
}

fn kill(group: Pid) {
    if let Err(errno) = killpg(group, Signal::SIGKILL) {
        log::warn!("cannot end the trial's instance {group}: {errno}");
    }
}

fn port(kind: &Kind) -> Option<u16> {
    match kind {
        Kind::TcpListener { address, .. } => address.rsplit_once(':')?.1.parse().ok(),
        _ => None,
    }
}

/// Reads to the end, whatever the instance prints: it must never wait for a reader.
fn read_lines(output: impl std::io::Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            // Nobody may listen any more.
            let _ = sender.send(line);
        }
    });
    receiver
}

/// Where a moved listener is, and its old port.
fn moved(line: &str) -> Option<(SocketAddr, u16)> {
    let (address, old) = line.strip_prefix("hotfork: listening on ")?.split_once(" (was ")?;
    Some((address.parse().ok()?, old.strip_suffix(')')?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_about_listeners_are_read() {
        let moved_to = |address: &str| Some((address.parse().unwrap(), 8080));
        for address in ["0.0.0.0:41234", "[::]:41234", "127.0.0.2:41234"] {
            assert_eq!(moved(&format!("hotfork: listening on {address} (was 8080)")), moved_to(address));
        }
        assert_eq!(moved("listening on 0.0.0.0:41234 (was 8080)"), None);
    }
}
