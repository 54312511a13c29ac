//! Files, directories, devices, and what the image carries.

use super::harness::{Instance, Scenario, Scratch, carry, no_moves, rebuild_again, record_these};
use hotfork_helper::exit::ExitCode;
use hotfork_helper::image::manifest::{Descriptors, Kind};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::fstat;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;

pub static SCENARIOS: &[Scenario] = &[
    Scenario { name: "regular", set_up: regular, moves: no_moves, check: check_regular },
    Scenario { name: "append", set_up: append, moves: no_moves, check: check_append },
    Scenario { name: "carried", set_up: carried, moves: no_moves, check: check_carried },
    Scenario { name: "others", set_up: others, moves: no_moves, check: check_others },
    Scenario { name: "missing", set_up: missing, moves: no_moves, check: check_missing },
    Scenario { name: "changed", set_up: changed, moves: no_moves, check: check_changed },
];

#[test]
fn a_file_open_for_reading_goes_on_where_it_was() {
    carry(&SCENARIOS[0]);
}

fn regular() -> Vec<OwnedFd> {
    let mut file = File::open("/etc/passwd").unwrap();
    file.seek(SeekFrom::Start(5)).unwrap();
    let same = file.try_clone().unwrap();
    vec![file.into(), same.into(), File::open("/etc/passwd").unwrap().into()]
}

fn check_regular(instance: Instance) {
    assert_eq!(instance.table.descriptions.len(), 2);
    assert!(instance.table.numbers.iter().all(|number| number.close_on_exec));
    let mut files: Vec<_> = instance.fds.into_iter().map(File::from).collect();
    let whole = fs::read("/etc/passwd").unwrap();
    let mut byte = [0];
    files[0].read_exact(&mut byte).unwrap();
    assert_eq!(byte[0], whole[5]);
    // The second number moves with the first, the separate description does not.
    assert_eq!(files[1].stream_position().unwrap(), 6);
    assert_eq!(files[2].stream_position().unwrap(), 0);
    assert_eq!(fcntl(&files[0], FcntlArg::F_GETFD).unwrap(), libc::FD_CLOEXEC);
}

/// Survives the first process, so the second one removes it.
fn log_path() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("descriptors-append.log")
}

#[test]
fn a_log_that_was_rotated_away_is_made_again() {
    carry(&SCENARIOS[1]);
}

fn append() -> Vec<OwnedFd> {
    let mut log = File::options().append(true).create(true).open(log_path()).unwrap();
    log.write_all(b"before\n").unwrap();
    vec![log.into()]
}

fn check_append(instance: Instance) {
    let mut log = File::from(instance.fds.into_iter().next().unwrap());
    let flags = OFlag::from_bits_retain(fcntl(&log, FcntlArg::F_GETFL).unwrap());
    assert!(flags.contains(OFlag::O_APPEND | OFlag::O_WRONLY));
    log.write_all(b"after\n").unwrap();
    assert_eq!(fs::read_to_string(log_path()).unwrap(), "before\nafter\n");
    fs::remove_file(log_path()).unwrap();
    drop(log);
    rebuild_again(&instance.table).unwrap();
    assert_eq!(fs::read(log_path()).unwrap(), b"");
    fs::remove_file(log_path()).unwrap();
}

#[test]
fn deleted_and_temporary_files_come_from_the_image() {
    carry(&SCENARIOS[2]);
}

fn carried() -> Vec<OwnedFd> {
    let path = std::env::temp_dir().canonicalize().unwrap().join(format!("hotfork-carried-{}", std::process::id()));
    fs::write(&path, b"temporary contents").unwrap();
    let mut temporary = File::open(&path).unwrap();
    temporary.seek(SeekFrom::Start(10)).unwrap();
    let scratch = Scratch::new("carried");
    let mut deleted =
        File::options().read(true).write(true).create(true).truncate(true).open(scratch.0.join("x")).unwrap();
    deleted.write_all(b"written").unwrap();
    let reader = File::open(scratch.0.join("x")).unwrap();
    drop(scratch);
    vec![temporary.into(), deleted.into(), reader.into()]
}

fn check_carried(instance: Instance) {
    let Kind::Carried { path, .. } = instance.kind(0) else { panic!("{:?}", instance.kind(0)) };
    fs::remove_file(path).unwrap();
    // Two descriptions of one file share its contents.
    assert_eq!(instance.table.contents.len(), 2);
    let mut files: Vec<_> = instance.fds.into_iter().map(File::from).collect();
    let mut text = String::new();
    files[0].read_to_string(&mut text).unwrap();
    assert_eq!(text, "contents");
    assert!(files[0].write_all(b"x").is_err(), "opened for reading only");
    files[1].write_all(b" and read").unwrap();
    text.clear();
    files[2].read_to_string(&mut text).unwrap();
    assert_eq!(text, "written and read");
    // A second capture finds them again.
    let fds: Vec<OwnedFd> = files.into_iter().map(OwnedFd::from).collect();
    let again = record_these(&fds).unwrap();
    let paths = |table: &Descriptors| -> Vec<_> {
        let path = |kind: &Kind| match kind {
            Kind::Carried { path, .. } => path.clone(),
            other => panic!("{other:?}"),
        };
        table.descriptions.iter().map(|description| path(&description.kind)).collect()
    };
    assert_eq!(paths(&again.descriptors), paths(&instance.table));
}

#[test]
fn directories_devices_and_files_of_proc() {
    carry(&SCENARIOS[3]);
}

fn others() -> Vec<OwnedFd> {
    let null = File::options().read(true).write(true).open("/dev/null").unwrap();
    let stat = File::open("/proc/self/stat").unwrap();
    vec![File::open("/etc").unwrap().into(), null.into(), File::open("/dev/urandom").unwrap().into(), stat.into()]
}

fn check_others(instance: Instance) {
    assert!(matches!(instance.kind(0), Kind::Directory { path, .. } if path == "/etc"));
    let link = |at: usize| fs::read_link(format!("/proc/self/fd/{}", instance.fds[at].as_raw_fd())).unwrap();
    assert_eq!(link(0), PathBuf::from("/etc"));
    assert_eq!(link(1), PathBuf::from("/dev/null"));
    assert_eq!(link(2), PathBuf::from("/dev/urandom"));
    assert_eq!(link(3), PathBuf::from(format!("/proc/{}/stat", std::process::id())));
    assert_eq!(fcntl(&instance.fds[1], FcntlArg::F_GETFL).unwrap() & libc::O_ACCMODE, libc::O_RDWR);
    assert!(fstat(&instance.fds[0]).is_ok());
}

fn vanishing() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("descriptors-vanishing")
}

#[test]
fn a_directory_that_is_gone_is_named() {
    carry(&SCENARIOS[4]);
}

fn missing() -> Vec<OwnedFd> {
    fs::create_dir_all(vanishing()).unwrap();
    vec![File::open(vanishing()).unwrap().into()]
}

fn check_missing(instance: Instance) {
    // The first rebuild still found it.
    let number = instance.fds[0].as_raw_fd();
    drop(instance.fds);
    fs::remove_dir(vanishing()).unwrap();
    let failure = rebuild_again(&instance.table).unwrap_err();
    assert_eq!(failure.code, ExitCode::DoesNotFit);
    let line = format!(
        "cannot rebuild descriptor {number}: cannot open {}: No such file or directory; put it back, or take the image again",
        vanishing().display()
    );
    assert_eq!(failure.message, line);
}

#[test]
fn a_file_that_has_changed_is_named() {
    carry(&SCENARIOS[5]);
}

fn changed() -> Vec<OwnedFd> {
    vec![File::open("/etc/passwd").unwrap().into()]
}

fn check_changed(mut instance: Instance) {
    let number = instance.fds[0].as_raw_fd();
    drop(instance.fds);
    let Kind::Regular { mtime, .. } = &mut instance.table.descriptions[0].kind else { panic!() };
    *mtime -= 1;
    let failure = rebuild_again(&instance.table).unwrap_err();
    let line =
        format!("cannot rebuild descriptor {number}: /etc/passwd has changed since the capture; take the image again");
    assert_eq!(failure.message, line);
    assert_eq!(failure.code, ExitCode::DoesNotFit);
}
