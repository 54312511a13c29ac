//! What is awaited before a capture.

use crate::cat::{Cat, Talk};
use crate::tools::tool;
use hotfork_tests::hotfork::{finish, inspected, snapshot_at_rest};
use hotfork_tests::matrix::{Cell, Extent, World, cells};
use hotfork_tests::process::LIMIT;
use hotfork_tests::subject::How;
use hotfork_tests::{During, Outcome, ensure, ensure_eq, proc, wait};
use libtest_mimic::Trial;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

pub fn trials(world: &Arc<World>) -> Vec<Trial> {
    let mut trials = cells(world, "rest::compilers", 17, Extent::Rotated(3), compilers);
    trials.extend(cells(world, "rest::flags", 17, Extent::Rotated(3), flags));
    trials.extend(cells(world, "rest::monitors", 17, Extent::Rotated(1), monitors));
    trials
}

fn rest_of(image: &Path) -> Outcome<String> {
    Ok(inspected(image)?["taken"]["rest"].as_str().unwrap_or_default().to_owned())
}

/// Flags that are written for the rest are put back, in the JVM and in its instances.
fn flags(cell: &Cell) -> Outcome {
    let cat = Cat::new(cell)?;
    let mut java = Command::new(cell.jdk.java());
    java.arg("-XX:+UnlockDiagnosticVMOptions").args(cat.arguments()).current_dir(&*cat.scratch);
    let mut original = Talk::start("original", java)?;
    original.is_new()?;
    original.say("work")?;
    let before = flags_of(cell, &original)?;
    snapshot_at_rest(original.process.pid(), &cat.image())?.succeeds()?;
    let rest = rest_of(&cat.image())?;
    ensure!(rest.contains("collected in"), "what was done to a busy JVM: {rest}");
    ensure_eq!(flags_of(cell, &original)?, before, "flags after the capture");
    let mut instance = Talk::start("instance", cat.restore())?;
    instance.is_restored("hello")?;
    ensure_eq!(flags_of(cell, &instance)?, before, "flags of the instance");
    instance.exits(0)?;
    original.exits(0)
}

/// The flags that are touched, as jcmd shows them.
fn flags_of(cell: &Cell, talk: &Talk) -> Outcome<Vec<String>> {
    let text = tool(&cell.jdk, "jcmd", &[&talk.process.pid().to_string(), "VM.flags", "-all"])?.out;
    let names = ["GuaranteedAsyncDeflationInterval", "DisableExplicitGC", "ExplicitGCInvokesConcurrent "];
    let lines: Vec<String> =
        text.lines().filter(|line| names.iter().any(|name| line.contains(name))).map(str::to_owned).collect();
    ensure_eq!(lines.len(), names.len(), "flags in {lines:?}");
    Ok(lines)
}

/// Deflated before the capture, they are not deflated again because an instance has napped for HotSpot's interval.
fn monitors(cell: &Cell) -> Outcome {
    let cat = Cat::new(cell)?;
    let mut java = Command::new(cell.jdk.java());
    java.arg("-Xlog:monitorinflation=info:stderr").args(cat.arguments()).current_dir(&*cat.scratch);
    let mut original = Talk::start("original", java)?;
    original.is_new()?;
    snapshot_at_rest(original.process.pid(), &cat.image())?.succeeds()?;
    let deflated = |talk: &Talk| talk.process.err.text().contains("begin deflating");
    ensure!(deflated(&original), "nothing was deflated: {}", original.process.err.text());
    let mut instance = Talk::start("instance", cat.restore())?;
    instance.is_restored("hello")?;
    let looked = looks_for_monitors(instance.process.pid())?;
    wait::until(LIMIT, "an instance's Monitor Deflation Thread has looked", || {
        looks_for_monitors(instance.process.pid()).is_ok_and(|now| now >= looked + 3)
    })?;
    ensure!(!deflated(&instance), "an instance deflates: {}", instance.process.err.text());
    instance.exits(0)?;
    original.exits(0)
}

/// How often the Monitor Deflation Thread has gone to sleep: it looks, and deflates if it is time, in between.
fn looks_for_monitors(pid: u32) -> Outcome<u64> {
    let threads = proc::threads(pid)?;
    let (tid, _) = threads.iter().find(|(_, name)| name.starts_with("Monitor Deflati")).ok_or("no such thread")?;
    let switches = proc::status(*tid, "voluntary_ctxt_switches")?;
    switches.parse().during(format_args!("voluntary_ctxt_switches {switches:?}"))
}

/// Compilers that come to rest are awaited; of those that do not, the image says so.
fn compilers(cell: &Cell) -> Outcome {
    let cat = Cat::new(cell)?;
    let mut quiet = cat.talk()?;
    snapshot_at_rest(quiet.process.pid(), &cat.image())?.succeeds()?;
    let rest = rest_of(&cat.image())?;
    ensure!(rest.contains("not collected: the application is idle"), "what was done to a quiet JVM: {rest}");
    ensure!(rest.contains("compilers idle"), "what was done to a quiet JVM: {rest}");
    quiet.exits(0)?;
    finish("restore", cat.restore())?.succeeds()?;

    let stage = cell.stage("JitStorm")?;
    let mut original = stage.start(How::ALL[0])?;
    snapshot_at_rest(original.pid(), &stage.image())?.succeeds()?;
    let rest = rest_of(&stage.image())?;
    ensure!(rest.contains("compilers still at work"), "what was done to a busy JVM: {rest}");
    let mut instance = stage.restore()?;
    stage.check(&mut instance)?;
    stage.check(&mut original)
}
