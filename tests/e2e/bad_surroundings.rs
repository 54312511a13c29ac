//! Hosts, files and JVMs that a capture or a restore cannot do with.

use crate::cat::{Cat, Talk};
use hotfork_tests::hotfork::{command, finish, no_unfinished, run, snapshot};
use hotfork_tests::matrix::{Cell, World, once, trial};
use hotfork_tests::process::Process;
use hotfork_tests::subject::{How, Stage};
use hotfork_tests::{During, Outcome, build, ensure, jdk, scratch, skip};
use libtest_mimic::Trial;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

pub fn trials(world: &Arc<World>) -> Vec<Trial> {
    let mut trials = Vec::new();
    for jdk in &world.jdks {
        let (subject, jdk) = (hotfork_tests::subject::named(&world.subjects, "Tools"), jdk.clone());
        let name = format!("refused::zgc::jdk{}", jdk.major);
        trials.push(trial(name, move || zgc(&subject?, &jdk)));
    }
    trials.extend(once(world, "refused::nowhere_to_write", nowhere_to_write));
    trials.extend(once(world, "refused::full_disk", full_disk));
    trials.extend(once(world, "refused::file_size_limit", file_size_limit));
    trials.extend(once(world, "bad_host::a_changed_library", a_changed_library));
    trials.extend(once(world, "bad_host::a_file_is_gone", a_file_is_gone));
    trials.extend(once(world, "bad_host::noexec_mount", noexec_mount));
    trials
}

/// ZGC's heap is shared memory: refused by name, and the JVM does not notice.
fn zgc(subject: &hotfork_tests::subject::Subject, jdk: &jdk::Jdk) -> Outcome {
    let mut stage = Stage::new(subject, jdk, jdk::Collector::Serial)?;
    if !jdk.takes("-XX:+UseZGC") {
        skip::skip(&format!("jdk {} zgc", jdk.major), "this build is without it; install one that has it");
        return Ok(());
    }
    stage.options.push("-XX:-UseSerialGC".into());
    stage.options.push("-XX:+UseZGC".into());
    let mut original = stage.start(How::Plain)?;
    snapshot(original.pid(), &stage.image())?.fails(114, &["ZGC", "-XX:+Use"])?;
    ensure!(!stage.image().exists(), "there is an image");
    stage.check(&mut original)
}

/// Places that no image can be written to; the JVM goes on.
fn nowhere_to_write(cell: &Cell) -> Outcome {
    let stage = cell.stage("Tools")?;
    let mut original = stage.start(How::Agent)?;
    let directory = stage.scratch.join("a-directory");
    fs::create_dir(&directory).during("make a directory")?;
    let missing = stage.scratch.join("missing");
    for (place, code, named) in [
        (missing.join("image"), 116, &missing),
        (PathBuf::from("/proc/image"), 116, &PathBuf::from("/proc")),
        (directory.clone(), 2, &directory),
    ] {
        snapshot(original.pid(), &place)?.fails(code, &[&named.to_string_lossy()]).during(place.display())?;
    }
    ensure!(scratch::names(&directory)?.is_empty(), "something was left in {}", directory.display());
    no_unfinished(&stage.image())?;
    stage.check(&mut original)
}

/// A mounted file system that goes with its guard.
pub struct Mounted(PathBuf);

impl Mounted {
    /// Of which nothing can be executed.
    pub fn noexec(directory: &Path) -> Outcome<Option<Self>> {
        Self::tmpfs(directory.join("noexec"), MsFlags::MS_NOEXEC, "size=1g", "noexec mount")
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// None where this process may not mount: told as a skip.
    pub fn tmpfs(at: PathBuf, flags: MsFlags, options: &str, what: &str) -> Outcome<Option<Self>> {
        fs::create_dir(&at).during("make a directory")?;
        match mount(Some("tmpfs"), &at, Some("tmpfs"), flags, Some(options)) {
            Ok(()) => Ok(Some(Self(at))),
            Err(error) => {
                skip::skip(what, &format!("mounting a tmpfs takes root ({error}): run ./x test as root"));
                Ok(None)
            }
        }
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

fn full_disk(cell: &Cell) -> Outcome {
    let stage = cell.stage("Tools")?;
    let at = stage.scratch.join("small");
    let Some(small) = Mounted::tmpfs(at, MsFlags::empty(), "size=8m", "full disk")? else { return Ok(()) };
    let mut original = stage.start(How::Plain)?;
    snapshot(original.pid(), &small.0.join("image"))?.fails(116, &["free there", "make room"])?;
    ensure!(
        scratch::names(&small.0)?.iter().all(|name| name == "image.report.json"),
        "left: {:?}",
        scratch::names(&small.0)?
    );
    // With room, the same JVM is captured as if nothing had happened.
    hotfork_tests::hotfork::take(original.pid(), &stage.image())?;
    let mut instance = stage.restore()?;
    stage.check(&mut instance)?;
    stage.check(&mut original)
}

/// A limit is met only when the copy of the JVM writes: nothing half-written stays, the JVM goes on.
fn file_size_limit(cell: &Cell) -> Outcome {
    let stage = cell.stage("Tools")?;
    let mut limited = Command::new("prlimit");
    let java = stage.original(How::Plain);
    limited.args(["--fsize=4000000", "--"]).arg(java.get_program()).args(java.get_args());
    let mut original = Process::start("original with a limit of file sizes", limited)?;
    original.says("READY")?;
    snapshot(original.pid(), &stage.image())?.fails(116, &[&stage.image().to_string_lossy()])?;
    ensure!(!stage.image().exists(), "there is an image");
    no_unfinished(&stage.image())?;
    stage.check(&mut original)
}

fn noexec_mount(cell: &Cell) -> Outcome {
    let cat = Cat::new(cell)?;
    let Some(noexec) = Mounted::noexec(&cat.scratch)? else { return Ok(()) };
    cat.taken()?.exits(0)?;
    let image = noexec.path().join("image");
    fs::copy(cat.image(), &image).during("copy the image")?;
    let restore = command(["restore".as_ref(), image.as_os_str()]);
    let mut instance = Talk::start("instance from a noexec mount", restore)?;
    instance.is_restored("hello")?;
    instance.exits(0)
}

/// The agent is part of the image's mapped files, as any library: another build does not fit.
fn a_changed_library(cell: &Cell) -> Outcome {
    let cat = Cat::new(cell)?;
    let (helper, agent) = (cat.scratch.join("hotfork"), cat.scratch.join("libhotfork.so"));
    fs::copy(build::helper(), &helper).during("copy the helper")?;
    fs::copy(build::agent(), &agent).during("copy the agent")?;
    let mut java = Command::new(cell.jdk.java());
    java.arg(format!("-agentpath:{}", agent.display())).args(cat.arguments());
    let mut original = Talk::start("original", java)?;
    original.is_new()?;
    let mut take = Command::new(&helper);
    take.args(hotfork_tests::hotfork::snapshot_arguments(original.process.pid(), &cat.image()));
    finish("snapshot", take)?.succeeds()?;
    let mut instance = Talk::start("instance", cat.restore())?;
    instance.is_restored("hello")?;
    instance.exits(0)?;
    original.exits(0)?;
    replace(&agent, |bytes| bytes.extend([0; 64]))?;
    run(["restore".as_ref(), cat.image().as_os_str()])?.fails(111, &["libhotfork.so"])?;
    fs::remove_file(&agent).during("remove the agent")?;
    run(["restore".as_ref(), cat.image().as_os_str()])?.fails(111, &["libhotfork.so"]).map(drop)
}

/// As an installer does it: a new file under the old name.
fn replace(file: &Path, change: impl FnOnce(&mut Vec<u8>)) -> Outcome {
    let mut bytes = fs::read(file).during("read a file")?;
    change(&mut bytes);
    fs::remove_file(file).during("remove a file")?;
    fs::write(file, bytes).during("write a file")
}

/// What the JVM has open must be there, as it was.
fn a_file_is_gone(cell: &Cell) -> Outcome {
    let cat = Cat::new(cell)?;
    cat.taken()?.exits(0)?;
    let (jar, away) = (cat.jar(), cat.scratch.join("away"));
    fs::rename(&jar, &away).during("move the jar away")?;
    run(["restore".as_ref(), cat.image().as_os_str()])?.fails(111, &["cat.jar"])?;
    fs::rename(&away, &jar).during("move the jar back")?;
    let mut instance = Talk::start("instance", cat.restore())?;
    instance.is_restored("hello")?;
    instance.exits(0)
}
