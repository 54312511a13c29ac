//! jcmd and jstack on a restored JVM. Some JDKs come without them; then another's does.

use hotfork_tests::hotfork::{Finished, finish, take};
use hotfork_tests::jdk::Jdk;
use hotfork_tests::matrix::{Cell, Extent, World, cells};
use hotfork_tests::process::Process;
use hotfork_tests::subject::{How, is_running};
use hotfork_tests::{Outcome, build, ensure, ensure_eq, proc};
use libtest_mimic::Trial;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

pub fn trials(world: &Arc<World>) -> Vec<Trial> {
    let mut trials = cells(world, "tools::work_on_an_instance", 17, Extent::Rotated(1), work_on_an_instance);
    trials.extend(cells(world, "tools::a_stale_attach_socket", 17, Extent::Rotated(3), a_stale_attach_socket));
    trials.extend(cells(world, "tools::used_before_the_capture", 17, Extent::Rotated(2), used_before_the_capture));
    trials
}

pub fn tool(jdk: &Jdk, tool: &str, arguments: &[&str]) -> Outcome<Finished> {
    let mut command = Command::new(jdk.tool(tool));
    command.args(arguments);
    let finished = finish(tool, command)?;
    ensure_eq!(finished.code, 0, "exit status of {tool} {arguments:?}: {}{}", finished.out, finished.err);
    Ok(finished)
}

fn work_on_an_instance(cell: &Cell) -> Outcome {
    let stage = cell.stage("Tools")?;
    let mut original = stage.start(How::Run)?;
    take(original.pid(), &stage.image())?;
    let mut instance = stage.restore()?;
    works(&cell.jdk, &instance)?;
    ensure!(attach_socket(&instance).exists(), "the instance has no attach socket of its own");
    works(&cell.jdk, &original)?;
    stage.check(&mut instance)?;
    ensure!(!attach_socket(&instance).exists(), "the instance left its attach socket");
    ensure!(attach_socket(&original).exists(), "the instance removed the attach socket of the original");
    works(&cell.jdk, &original)?;
    stage.check(&mut original)
}

/// The attach listener of the original is part of the capture then.
fn used_before_the_capture(cell: &Cell) -> Outcome {
    let stage = cell.stage("Tools")?;
    let mut original = stage.start(How::Agent)?;
    works(&cell.jdk, &original)?;
    take(original.pid(), &stage.image())?;
    for _ in 0..2 {
        let mut instance = stage.restore()?;
        works(&cell.jdk, &instance)?;
        stage.check(&mut instance)?;
        ensure!(!attach_socket(&instance).exists(), "the instance left its attach socket");
    }
    works(&cell.jdk, &original)?;
    stage.check(&mut original)
}

/// A killed JVM leaves its attach socket; the instance may get its pid.
fn a_stale_attach_socket(cell: &Cell) -> Outcome {
    let stage = cell.stage("Tools")?;
    let mut original = stage.start(How::Agent)?;
    take(original.pid(), &stage.image())?;
    let mut shell = Command::new("sh");
    shell
        .args(["-c", r#": >"/tmp/.java_pid$$" && exec "$@""#, "sh"])
        .arg(build::helper())
        .arg("restore")
        .arg(stage.image());
    let mut instance = stage.watch(Process::start("instance with a stale attach socket", shell)?)?;
    works(&cell.jdk, &instance)?;
    stage.check(&mut instance)?;
    stage.check(&mut original)
}

fn attach_socket(process: &Process) -> std::path::PathBuf {
    Path::new("/tmp").join(format!(".java_pid{}", process.pid()))
}

/// The tools reach it, see its Java threads, and name them by their real thread ids.
fn works(jdk: &Jdk, process: &Process) -> Outcome {
    // A process that does not catch SIGQUIT yet would die of being attached to.
    is_running(process, "Tools")?;
    let pid = process.pid().to_string();
    let version = tool(jdk, "jcmd", &[&pid, "VM.version"])?.out;
    ensure!(version.contains(&format!("JDK {}", jdk.major)), "VM.version says {version}");
    let before = proc::threads(process.pid())?;
    for dump in [tool(jdk, "jcmd", &[&pid, "Thread.print"])?.out, tool(jdk, "jstack", &[&pid])?.out] {
        ensure!(dump.contains("\"witness of tools\""), "the witness is not in the dump:\n{dump}");
        ensure!(dump.contains("dev.hotfork.subjects.Tools.witness"), "the witness's frame is not in the dump:\n{dump}");
        let named: BTreeSet<u32> = dump.lines().filter_map(nid).collect();
        // A compiler thread may start or end in between.
        let real: BTreeSet<u32> = before.keys().copied().chain(proc::threads(process.pid())?.into_keys()).collect();
        ensure!(named.len() > 5, "the dump names few threads:\n{dump}");
        let stale: Vec<_> = named.difference(&real).collect();
        ensure!(stale.is_empty(), "these are not threads of {pid}: {stale:?}; real are {real:?}:\n{dump}");
    }
    Ok(())
}

/// The native id of a thread's line: `nid=0x1f` on 17, `nid=31` later, `[31]` too from 21 on.
fn nid(line: &str) -> Option<u32> {
    let value = line.split_once(" nid=")?.1.split_whitespace().next()?;
    match value.strip_prefix("0x") {
        Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16).ok(),
        None => value.parse().ok(),
    }
}
