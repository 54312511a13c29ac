//! Runs this test program again as the process that is recorded, then as the one that is rebuilt.
//!
//! Both roles are played by the test `child`, in a process of its own each: a rebuild closes what it
//! does not know, and a recording refuses a process that has children.
#![allow(unsafe_code)]

use hotfork_helper::descriptors::{PortMove, PortMoves, Rebuilt, Recorded, Recorder, lift, make_room, rebuild};
use hotfork_helper::exit::Failure;
use hotfork_helper::image::manifest::{Descriptors, Kind};
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Command;

const ROLE: &str = "HOTFORK_TEST_ROLE";
const PLACE: &str = "HOTFORK_TEST_PLACE";

/// One kind of state: opened in one process, looked at in the other.
pub struct Scenario {
    pub name: &'static str,
    pub set_up: fn() -> Vec<OwnedFd>,
    pub moves: fn(&Descriptors) -> Vec<PortMove>,
    pub check: fn(Instance),
}

pub fn no_moves(_: &Descriptors) -> Vec<PortMove> {
    Vec::new()
}

/// What the second process has: the descriptors of `set_up`, in order.
pub struct Instance {
    pub fds: Vec<OwnedFd>,
    pub table: Descriptors,
    /// Of moved listeners.
    pub lines: Vec<String>,
}

impl Instance {
    /// What was recorded of the descriptor at that place in `set_up`.
    pub fn kind(&self, at: usize) -> &Kind {
        let number = self.table.numbers.iter().find(|number| number.fd == self.fds[at].as_raw_fd()).unwrap();
        &self.table.descriptions[number.description as usize].kind
    }
}

/// A thing to try in a process of its own.
pub struct Trial {
    pub name: &'static str,
    pub run: fn(),
}

pub fn carry(scenario: &Scenario) {
    let parts = ["image", "table", "numbers"].map(|name| memfd_create(name, MFdFlags::MFD_CLOEXEC).unwrap());
    let paths: Vec<_> =
        parts.iter().map(|part| format!("/proc/{}/fd/{}", std::process::id(), part.as_raw_fd())).collect();
    for role in ["record", "rebuild"] {
        play(&format!("{role}:{}", scenario.name), &paths.join(" "));
    }
}

pub fn try_alone(trial: &Trial) {
    play(&format!("try:{}", trial.name), "");
}

fn play(role: &str, place: &str) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["harness::child", "--exact", "--nocapture"])
        .env(ROLE, role)
        .env(PLACE, place)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).join("\n");
    assert!(output.status.success() && text.contains("1 passed"), "{role}: {}\n{text}", output.status);
}

/// Without a role it is nobody's child, and has nothing to do.
#[test]
fn child() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let place = std::env::var(PLACE).unwrap();
    let place: Vec<_> = place.split(' ').map(Path::new).collect();
    let (role, name) = role.split_once(':').unwrap();
    if role == "try" {
        let trials = super::refusals::TRIALS.iter().chain(super::table::TRIALS);
        return (trials.into_iter().find(|trial| trial.name == name).unwrap().run)();
    }
    let mut scenarios = [super::files::SCENARIOS, super::pipes_and_events::SCENARIOS, super::sockets::SCENARIOS];
    let scenario = scenarios.iter_mut().flat_map(|list| list.iter()).find(|scenario| scenario.name == name).unwrap();
    match role {
        "record" => record(scenario, &place),
        _ => check(scenario, &place),
    }
}

fn record(scenario: &Scenario, place: &[&Path]) {
    let fds = (scenario.set_up)();
    let recorded = record_these(&fds).unwrap();
    let numbers: Vec<i32> = fds.iter().map(|fd| fd.as_raw_fd()).collect();
    let mut table = recorded.descriptors;
    let image = File::create(place[0]).unwrap();
    let mut offset = 100;
    for (content, source) in table.contents.iter_mut().zip(&recorded.contents) {
        assert_eq!(content.length, source.length());
        content.offset = offset;
        source.write_to(&image, offset).unwrap();
        offset += content.length;
    }
    fs::write(place[1], postcard::to_stdvec(&table).unwrap()).unwrap();
    fs::write(place[2], postcard::to_stdvec(&numbers).unwrap()).unwrap();
}

fn check(scenario: &Scenario, place: &[&Path]) {
    let table: Descriptors = postcard::from_bytes(&fs::read(place[1]).unwrap()).unwrap();
    let numbers: Vec<i32> = postcard::from_bytes(&fs::read(place[2]).unwrap()).unwrap();
    let room = make_room(&table).unwrap();
    let image = lift(File::open(place[0]).unwrap().into(), room).unwrap();
    let moves = PortMoves::new((scenario.moves)(&table)).unwrap();
    let rebuilt = rebuild(&table, room, image.as_fd(), &moves).unwrap();
    // SAFETY: `rebuild` has placed a description at each of these numbers, and nobody owns them yet.
    let fds = numbers.into_iter().map(|number| unsafe { OwnedFd::from_raw_fd(number) }).collect();
    (scenario.check)(Instance { fds, table, lines: rebuilt.lines });
}

/// Rebuilds the same table once more, from an image without contents.
pub fn rebuild_again(table: &Descriptors) -> Result<Rebuilt, Failure> {
    let room = make_room(table)?;
    let image = lift(File::open("/dev/null").unwrap().into(), room)?;
    rebuild(table, room, image.as_fd(), &PortMoves::default())
}

/// As the agent does it: a recorder before the freeze, a look, then the duplicates.
pub fn record_these(fds: &[OwnedFd]) -> Result<Recorded, Failure> {
    let pid = std::process::id() as i32;
    let mut recorder = Recorder::new(pid, &not_among(fds), Vec::new())?;
    recorder.preflight()?;
    record_at_once(fds)
}

/// Without the look beforehand.
pub fn record_at_once(fds: &[OwnedFd]) -> Result<Recorded, Failure> {
    let mut recorder = Recorder::new(std::process::id() as i32, &[], Vec::new())?;
    recorder.record(fds.iter().map(|fd| (fd.as_raw_fd(), fd.try_clone().unwrap())).collect())
}

/// Open numbers that are not part of the scene.
fn not_among(fds: &[OwnedFd]) -> Vec<i32> {
    (3..1024).filter(|number| fds.iter().all(|fd| fd.as_raw_fd() != *number)).collect()
}

/// The events of `events` that hold now; nix knows no POLLRDHUP.
pub fn poll_now(fd: &OwnedFd, events: i16) -> i16 {
    let mut polled = libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 };
    // SAFETY: one pollfd, as the count says.
    assert!(unsafe { libc::poll(&raw mut polled, 1, 0) } >= 0);
    polled.revents
}

/// A directory that ends with the test.
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}
