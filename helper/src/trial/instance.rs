//! The instance of a trial.

use crate::image::manifest::{Kind, Manifest};
use crate::proc::Process;
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// A restore takes milliseconds.
const LISTENS_WITHIN: Duration = Duration::from_secs(10);
/// However slow the application is.
const TRIAL_AT_MOST: Duration = Duration::from_secs(60);

pub struct Instance {
    child: Child,
    /// Old port, new port.
    ports: HashMap<u16, u16>,
    /// What HotSpot would remove at its end, and does not when it is killed.
    perf_file: Option<PathBuf>,
    /// Dropped when the trial is over.
    _watch: mpsc::Sender<()>,
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
        let mut child = command.spawn().map_err(|error| format!("cannot start an instance: {error}"))?;
        let (watch, over) = mpsc::channel();
        let pid = nix::unistd::Pid::from_raw(child.id() as i32);
        std::thread::spawn(move || {
            if over.recv_timeout(TRIAL_AT_MOST) == Err(mpsc::RecvTimeoutError::Timeout) {
                // It is waited for only after this channel has closed, so the pid is still its own.
                let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
            }
        });
        let lines = child.stderr.take().map(read_lines);
        let perf = manifest.entry.perf_file.as_ref().and_then(|file| file.parent());
        let perf_file = perf.map(|directory| directory.join(child.id().to_string()));
        let mut instance = Self { child, ports: HashMap::new(), perf_file, _watch: watch };
        let lines = lines.ok_or("an instance without an output")?;
        instance.meet(&lines, old.len())?;
        Ok(instance)
    }

    /// Reads where it listens.
    fn meet(&mut self, lines: &mpsc::Receiver<String>, count: usize) -> Result<(), String> {
        let end = Instant::now() + LISTENS_WITHIN;
        let mut last = String::new();
        while self.ports.len() < count {
            match lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    if let Some((new, old)) = moved(&line) {
                        self.ports.insert(old, new);
                    }
                    last = line;
                }
                Err(_) => return Err(format!("the instance does not listen; it said last: {last:?}")),
            }
        }
        Ok(())
    }

    pub fn process(&self) -> Process {
        Process(self.child.id() as i32)
    }

    pub fn port(&self, old: u16) -> Option<u16> {
        self.ports.get(&old).copied()
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
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait()) {
            log::warn!("the trial's instance {} does not end: {error}", self.child.id());
        }
        if let Some(file) = &self.perf_file {
            // Not there where the instance could not make one.
            let _ = fs::remove_file(file);
        }
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

/// New and old port of a line about a moved listener.
fn moved(line: &str) -> Option<(u16, u16)> {
    let (address, old) = line.strip_prefix("hotfork: listening on ")?.split_once(" (was ")?;
    Some((address.rsplit_once(':')?.1.parse().ok()?, old.strip_suffix(')')?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_about_listeners_are_read() {
        assert_eq!(moved("hotfork: listening on 0.0.0.0:41234 (was 8080)"), Some((41234, 8080)));
        assert_eq!(moved("hotfork: listening on [::]:41234 (was 8080)"), Some((41234, 8080)));
        assert_eq!(moved("listening on 0.0.0.0:41234 (was 8080)"), None);
    }
}
