//! The helper's side of one capture (`hotfork_abi::capture`). Each step takes what the one before has made.

use super::image::{Facts, Made, save};
use super::packets::{Packet, PacketError, Packets};
use super::preflight::{self, Limits};
use super::template::Template;
use super::{Options, Served, settle_report, write_report};
use crate::descriptors::{Recorded, Recorder};
use crate::exit::{ExitCode, Failure};
use crate::identity::class_path;
use crate::identity::command::Command;
use crate::image::manifest::Trial;
use crate::image::temporary::{DEFAULT_MODE, Temporary};
use crate::proc::maps::{self, Mapping};
use crate::proc::{Process, status};
use crate::report::{self, Report};
use crate::trial;
use hotfork_abi::capture::{
    ABANDONED, BEGIN, Begin, DESCRIPTORS, Descriptors, FORKED, Forked, KEPT, READY, RECORDED, REFUSED, Refused, SAVED,
    Saved, Signal,
};
use hotfork_abi::{ABI_VERSION, Plain, Text, VERSION};
use nix::sys::socket::{getsockopt, sockopt};
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The agent greets at once; what it does between two messages (suspending, freezing, forking) is bounded by its own
/// deadlines, which these exceed.
const GREETING: Duration = Duration::from_secs(30);
const NEXT: Duration = Duration::from_secs(120);

pub fn hold(agent: &Packets, options: Options) -> Result<Served, Failure> {
    let mut image = options.image.clone();
    let (mut is_again, mut tries_left) = (options.again, 0);
    let result = (|| {
        let greeted = greet(agent)?;
        (is_again, tries_left) = (greeted.begin.better_than != 0, greeted.begin.tries_left);
        let path = image.get_or_insert_with(|| PathBuf::from(greeted.begin.image.as_str())).clone();
        let prepared = prepare(greeted, &path)?;
        let ready = ready(agent, prepared)?;
        let recorded = record(agent, ready)?;
        finish(agent, recorded, options.progress)
    })();
    let (told, failure) = match result {
        Ok(saved) => {
            write_report(&saved.image, &Report::Saved((*saved).clone()));
            let trial_failed = saved.trial.as_ref().and_then(|trial| trial.as_ref().err()).map_or("", String::as_str);
            let tried = saved.trial.as_ref().and_then(|trial| trial.as_ref().ok());
            let message = Saved {
                kind: SAVED,
                poor: tried.is_some_and(|trial| trial.poor).into(),
                cost: tried.map_or(0, Trial::cost),
                image_size: saved.size,
                saving: saved.saving_ns,
                trial_failed: Text::new(trial_failed),
            };
            // The image is in place; at worst its JVM does not hear so.
            unheard(agent.send(&message, &[]));
            return Ok(Served::Saved(*saved));
        }
        Err(Ended::NotBetter(failure)) => {
            if let Some(image) = image.filter(|_| tries_left == 0) {
                settle_report(&image);
            }
            let reason = Text::new(&failure.message);
            unheard(agent.send(&Refused { kind: KEPT, exit_code: failure.code as i32, reason }, &[]));
            return Ok(Served::Kept { why: failure.message, again: tries_left > 0 });
        }
        Err(Ended::Refused(failure)) => (false, failure),
        // The agent gave up first, and knows why.
        Err(Ended::Abandoned(failure)) => (true, failure),
    };
    match image {
        Some(image) if is_again => settle_report(&image),
        Some(image) => write_report(&image, &Report::failed(&image, &failure)),
        // Before the greeting nobody has said which image: there is no place for a report.
        None => {}
    }
    if !told {
        let reason = Text::new(&failure.message);
        unheard(agent.send(&Refused { kind: REFUSED, exit_code: failure.code as i32, reason }, &[]));
    }
    Err(failure)
}

fn unheard(sent: Result<(), PacketError>) {
    if let Err(error) = sent {
        log::warn!("the agent does not hear how it ended: {error}");
    }
}

enum Ended {
    Refused(Failure),
    Abandoned(Failure),
    NotBetter(Failure),
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::Refused(failure)
    }
}

impl From<PacketError> for Ended {
    fn from(error: PacketError) -> Self {
        Self::Refused(capture_failed(error))
    }
}

fn capture_failed(why: impl std::fmt::Display) -> Failure {
    Failure::new(ExitCode::CaptureFailed, format!("the capture failed: {why}; try again"))
}

struct Greeted {
    begin: Box<Begin>,
    process: Process,
}

/// Checks version and credentials: the JVM is named by the kernel, not by the message.
fn greet(agent: &Packets) -> Result<Greeted, Ended> {
    let packet = next(agent, GREETING)?;
    check_version(&packet)?;
    let begin: Begin = agent.decode(&packet, BEGIN)?;
    let peer = getsockopt(agent.socket(), sockopt::PeerCredentials)
        .map_err(|errno| capture_failed(format!("the kernel does not say who the agent is: {errno}")))?;
    let process = Process(peer.pid());
    let status = process.parse("status", status::parse).map_err(capture_failed)?;
    let own = nix::unistd::geteuid().as_raw();
    if peer.uid() != own && own != 0 {
        let why = format!("the JVM belongs to uid {}, hotfork runs as uid {own}: run it as that user", peer.uid());
        return Err(Failure::new(ExitCode::Refused, why).into());
    }
    if status.namespace_pid != begin.pid {
        return Err(capture_failed(format!("process {} says that it is {}", status.namespace_pid, begin.pid)).into());
    }
    Ok(Greeted { begin: Box::new(begin), process })
}

/// Agent and helper must be one build, because they share memory layouts. The first fields never move.
fn check_version(packet: &Packet) -> Result<(), Failure> {
    let version = Begin::read(&packet.bytes).filter(|begin| begin.kind == BEGIN);
    let theirs = match version {
        Some(begin) if begin.abi_version == ABI_VERSION && begin.version.as_str() == VERSION => return Ok(()),
        Some(begin) if begin.version.as_str() != VERSION => begin.version.as_str().to_owned(),
        Some(begin) => format!("{} (interface {})", begin.version.as_str(), begin.abi_version),
        None => "unknown".to_owned(),
    };
    Err(Failure::new(ExitCode::CaptureFailed, format!("agent {theirs}, helper {VERSION}: restart the JVM")))
}

struct Prepared {
    begin: Box<Begin>,
    process: Process,
    root: File,
    command: Command,
    maps: Vec<Mapping>,
    uid: u32,
    trial_allowed: Result<(), String>,
    temporary: Temporary,
    recorder: Recorder,
    directories: Vec<PathBuf>,
}

/// Looks for whatever must be refused, before the JVM is touched.
fn prepare(greeted: Greeted, image: &Path) -> Result<Prepared, Ended> {
    let Greeted { begin, process } = greeted;
    let root = File::open(process.path("root"))
        .map_err(|error| capture_failed(format!("cannot open the JVM's root directory: {error}")))?;
    let command = Command::of_process(process, &root_path(&root)).map_err(capture_failed)?;
    let maps = process.parse("maps", maps::parse).map_err(capture_failed)?;
    let status = process.parse("status", status::parse).map_err(capture_failed)?;
    let mode = if begin.mode == 0 { DEFAULT_MODE } else { begin.mode };
    let temporary = Temporary::create(image, mode)?;
    let limits = Limits {
        max_stop: Duration::from_nanos(begin.max_stop),
        room: temporary.room().map_err(|error| capture_failed(format!("cannot ask for free space: {error}")))?,
        free_hugetlb: preflight::free_hugetlb(Path::new("/sys/kernel/mm/hugepages")),
    };
    preflight::check(&maps, &status, image, &limits)?;
    let sources = command.class_sources().map_err(capture_failed)?;
    let class_path = class_path::places(&sources, &command.cwd, &command.root);
    let named: Vec<PathBuf> = sources.temporary.into_iter().map(|directory| command.cwd.join(directory)).collect();
    let mut recorder = Recorder::new(process.0, &begin.own_descriptors, named.clone())?.with_class_path(class_path);
    recorder.preflight()?;
    let directories = temporary_directories(process, named).map_err(capture_failed)?;
    let uid = status.uid;
    let trial_allowed = trial::allowed(process, uid);
    Ok(Prepared { begin, process, root, command, maps, uid, trial_allowed, temporary, recorder, directories })
}

/// The root directory that the JVM sees, even when it has ended.
fn root_path(root: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", root.as_raw_fd()))
}

/// /tmp, what the JVM was told, and its TMPDIR.
fn temporary_directories(process: Process, named: Vec<PathBuf>) -> Result<Vec<PathBuf>, crate::proc::ProcError> {
    use std::os::unix::ffi::OsStringExt;
    let mut directories = vec![PathBuf::from("/tmp")];
    directories.extend(named);
    for entry in process.strings("environ")? {
        if let Some(value) = entry.strip_prefix(b"TMPDIR=").filter(|value| value.starts_with(b"/")) {
            directories.push(std::ffi::OsString::from_vec(value.to_vec()).into());
        }
    }
    Ok(directories)
}

struct Ready {
    prepared: Prepared,
    control: Packets,
}

/// Lets the capture begin, and hands over the template's socket.
fn ready(agent: &Packets, prepared: Prepared) -> Result<Ready, Ended> {
    let (control, templates_end) = Packets::pair("the template")?;
    control.identify_senders()?;
    agent.send(&Signal { kind: READY, spare: 0 }, &[&templates_end])?;
    Ok(Ready { prepared, control })
}

struct Frozen {
    prepared: Prepared,
    control: Packets,
    recorded: Recorded,
}

/// Takes all descriptors of the frozen JVM. It stands still until the answer: nothing here may take its time.
fn record(agent: &Packets, ready: Ready) -> Result<Frozen, Ended> {
    let Ready { mut prepared, control } = ready;
    let mut all: Vec<(i32, OwnedFd)> = Vec::new();
    loop {
        let mut packet = next(agent, NEXT)?;
        let message: Descriptors = agent.decode(&packet, DESCRIPTORS)?;
        let received = std::mem::take(&mut packet.descriptors);
        if received.len() != message.count as usize {
            let limit = "the limit of open files (ulimit -n) may be too low";
            let why = format!("{} descriptors announced, {} arrived: {limit}", message.count, received.len());
            return Err(capture_failed(why).into());
        }
        all.extend(message.numbers.iter().copied().zip(received));
        if message.last != 0 {
            break;
        }
    }
    let recorded = prepared.recorder.record(all)?;
    agent.send(&Signal { kind: RECORDED, spare: 0 }, &[])?;
    Ok(Frozen { prepared, control, recorded })
}

/// The JVM runs again: everything from here on is unhurried.
fn finish(agent: &Packets, frozen: Frozen, progress: &mut dyn FnMut(u64, u64)) -> Result<Box<report::Saved>, Ended> {
    let Frozen { prepared, control, recorded } = frozen;
    let forked: Forked = agent.decode(&next(agent, NEXT)?, FORKED)?;
    let start = Instant::now();
    let shared = prepared.process.0 == prepared.begin.pid;
    let template = Template::greet(control, forked.template_pid, shared).map_err(capture_failed)?;
    let facts = Facts {
        process: prepared.process,
        begin: &prepared.begin,
        root: root_path(&prepared.root),
        command: prepared.command,
        maps_before: &prepared.maps,
        temporary_directories: &prepared.directories,
        uid: prepared.uid,
        trial_allowed: prepared.trial_allowed,
        stop_began: forked.stop_began,
        stopped: forked.stopped,
    };
    match save(template, facts, recorded, prepared.temporary, progress)? {
        Made::Saved(mut saved) => {
            saved.saving_ns = start.elapsed().as_nanos() as u64;
            Ok(saved)
        }
        Made::NotBetter(why) => Err(Ended::NotBetter(Failure::new(ExitCode::CaptureFailed, why))),
    }
}

/// The next message, unless the agent gives up.
fn next(agent: &Packets, timeout: Duration) -> Result<Packet, Ended> {
    let packet = agent.receive(timeout)?;
    if packet.kind() != ABANDONED {
        return Ok(packet);
    }
    let message: Refused = agent.decode(&packet, ABANDONED)?;
    let code = ExitCode::from_number(message.exit_code).unwrap_or(ExitCode::CaptureFailed);
    Err(Ended::Abandoned(Failure::new(code, message.reason.as_str())))
}
