//! Ordinary users: no capabilities, no_new_privs, tight limits.

use hotfork_tests::hotfork::{Finished, command, finish, snapshot_arguments};
use hotfork_tests::matrix::{Cell, Extent, World, cells, once};
use hotfork_tests::process::Process;
use hotfork_tests::subject::{How, Stage, is_running};
use hotfork_tests::{During, Outcome, build, ensure, ensure_eq, proc, skip};
use libtest_mimic::Trial;
use std::os::unix::fs::chown;
use std::process::Command;
use std::sync::Arc;

const NOBODY: u32 = 65_534;

pub fn trials(world: &Arc<World>) -> Vec<Trial> {
    let mut trials = cells(world, "unprivileged::captures_and_restores", 17, Extent::Rotated(1), captures_and_restores);
    trials.extend(cells(
        world,
        "unprivileged::restores_what_root_took",
        17,
        Extent::Rotated(2),
        restores_what_root_took,
    ));
    trials.extend(once(world, "unprivileged::limits_that_are_too_low", limits_that_are_too_low));
    trials.extend(once(world, "unprivileged::may_not_read", may_not_read));
    trials
}

/// The command as nobody without any privilege; as ourselves without new ones where we are not root.
fn unprivileged(command: &Command) -> Command {
    let mut setpriv = Command::new("setpriv");
    if nix::unistd::geteuid().is_root() {
        setpriv.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]);
    }
    setpriv.arg("--no-new-privs").arg("--").arg(command.get_program()).args(command.get_args());
    setpriv.envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
    setpriv
}

/// Whether nobody can reach what it needs; the repository may lie in a private home.
pub fn possible(cell: &Cell) -> bool {
    let mut java = Command::new(cell.jdk.java());
    java.arg("-version");
    let mut helper = command(["--version"]);
    helper.env_clear();
    let mut jar = Command::new("cat");
    jar.arg(build::subjects_jar());
    let works = [java, helper, jar]
        .iter()
        .all(|command| unprivileged(command).output().is_ok_and(|output| output.status.success()));
    if !works {
        let remedy = "setpriv (apt-get install util-linux), and a repository and JDKs that every user can read";
        skip::skip("restores as an unprivileged user", remedy);
    }
    works
}

/// The stage's files, as the user's who uses them.
fn give_away(stage: &Stage) -> Outcome {
    if nix::unistd::geteuid().is_root() {
        for path in [stage.scratch.to_path_buf(), stage.scratch.join("triggers"), stage.scratch.join("files")] {
            chown(&path, Some(NOBODY), Some(NOBODY)).during(format_args!("give {} away", path.display()))?;
        }
    }
    Ok(())
}

fn start(stage: &Stage, command: &Command, name: &str) -> Outcome<Process> {
    let process = Process::start(name, unprivileged(command))?;
    stage.watch(process)
}

fn restore(stage: &Stage) -> Outcome<Process> {
    let restore = command(["restore".as_ref(), stage.image().as_os_str()]);
    start(stage, &restore, "unprivileged instance")
}

fn captures_and_restores(cell: &Cell) -> Outcome {
    if !possible(cell) {
        return Ok(());
    }
    let stage = cell.stage("ThreadStates")?;
    give_away(&stage)?;
    let mut original = start(&stage, &stage.original(How::Plain), "unprivileged original")?;
    original.says("READY")?;
    let take = command(snapshot_arguments(original.pid(), &stage.image()));
    finish("snapshot", unprivileged(&take))?.succeeds()?;
    let mut instances = [restore(&stage)?, restore(&stage)?];
    for instance in &mut instances {
        is_running(instance, "ThreadStates")?;
        ensure_eq!(proc::status(instance.pid(), "NoNewPrivs")?, "1", "NoNewPrivs of the instance");
        if nix::unistd::geteuid().is_root() {
            ensure_eq!(proc::status(instance.pid(), "CapEff")?, "0000000000000000", "capabilities of the instance");
            let user = proc::status(instance.pid(), "Uid")?;
            ensure!(user.starts_with(&NOBODY.to_string()), "user of the instance: {user}");
        }
        stage.check(instance)?;
    }
    stage.check(&mut original)
}

fn restores_what_root_took(cell: &Cell) -> Outcome {
    if !possible(cell) {
        return Ok(());
    }
    let stage = cell.stage("JitStorm")?;
    let mut original = stage.start(How::Agent)?;
    let mut take = command(snapshot_arguments(original.pid(), &stage.image()));
    take.args(["--mode", "644"]);
    finish("snapshot", take)?.succeeds()?;
    let mut instance = restore(&stage)?;
    stage.ask(&instance)?;
    stage.passes(&mut instance)?;
    stage.check(&mut original)
}

/// Each is found before anything is given up, and named.
fn limits_that_are_too_low(cell: &Cell) -> Outcome {
    if !possible(cell) {
        return Ok(());
    }
    let stage = cell.stage("ThreadStates")?;
    give_away(&stage)?;
    let mut original = start(&stage, &stage.original(How::Agent), "unprivileged original")?;
    original.says("READY")?;
    let take = command(snapshot_arguments(original.pid(), &stage.image()));
    finish("snapshot", unprivileged(&take))?.succeeds()?;
    stage.check(&mut original)?;
    let threads = "--nproc=5";
    for (limit, word) in [(threads, "nproc"), ("--as=300000000", "address space"), ("--nofile=4", "open files")] {
        limited(&stage, limit)?.fails(113, &[]).during(format_args!("restore with {limit} ({word})"))?;
    }
    let mut instance = restore(&stage)?;
    stage.check(&mut instance)
}

fn limited(stage: &Stage, limit: &str) -> Outcome<Finished> {
    let mut command = Command::new("prlimit");
    command.args([limit, "--"]).arg(build::helper()).arg("restore").arg(stage.image());
    finish("restore under a limit", unprivileged(&command))
}

fn may_not_read(cell: &Cell) -> Outcome {
    if !possible(cell) {
        return Ok(());
    }
    if !nix::unistd::geteuid().is_root() {
        skip::skip("an image of root's that nobody else may read", "run the tests as root");
        return Ok(());
    }
    let stage = cell.stage("Tools")?;
    let mut original = stage.start(How::Plain)?;
    hotfork_tests::hotfork::take(original.pid(), &stage.image())?;
    stage.check(&mut original)?;
    let restore = command(["restore".as_ref(), stage.image().as_os_str()]);
    finish("restore", unprivileged(&restore))?.fails(112, &["cannot be opened", "--mode"]).map(drop)
}
