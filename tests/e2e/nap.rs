//! Time in a restored JVM: it has napped, whatever the host's clock shows.

use hotfork_tests::hotfork::{command, inspected, run, snapshot, take};
use hotfork_tests::matrix::{Cell, Extent, World, cells, once};
use hotfork_tests::process::Process;
use hotfork_tests::subject::{How, Stage, is_running, is_running_at, listening};
use hotfork_tests::time_namespace::Shift;
use hotfork_tests::{During, Outcome, ensure, ensure_eq};
use libtest_mimic::Trial;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

pub fn trials(world: &Arc<World>) -> Vec<Trial> {
    [
        cells(world, "nap::timed_waits", 17, Extent::Rotated(0), timed_waits),
        cells(world, "nap::captured_again_under_another_clock", 17, Extent::Rotated(1), captured_again),
        cells(world, "nap::the_original_keeps_its_clock", 17, Extent::Rotated(2), the_original_keeps_its_clock),
        once(world, "nap::run", of_run),
        once(world, "nap::usage", usage),
    ]
    .into_iter()
    .flatten()
    .collect()
}

const NOT_AT_ALL: &[&str] = &["--nap", "0s"];

/// Instances of one image side by side: without a nap, and with the usual one under clocks far later and far earlier.
fn timed_waits(cell: &Cell) -> Outcome {
    let stage = cell.stage("TimedWaits")?;
    let mut original = stage.start(How::Plain)?;
    take(original.pid(), &stage.image())?;
    ensure_eq!(inspected(&stage.image())?["clock_goes_on"], true, "clock_goes_on in inspect");
    let mut instances = Vec::new();
    for shift in [Shift::MONTH_LATER, Shift::to_just_after_boot()?] {
        instances.extend(shifted(&stage, &stage.image(), stage.port(), shift, &[], "1 60000")?);
    }
    let instance = stage.restore_with(&stage.image(), |command| {
        command.args(NOT_AT_ALL);
    })?;
    stage.tell(&instance, "naps", "1 0")?;
    stage.ask(&instance)?;
    stage.ask(&original)?;
    instances.push(instance);
    for instance in &mut instances {
        stage.passes(instance)?;
    }
    stage.passes(&mut original)
}

/// Restores under a shifted clock and asks for the check.
fn shifted(
    stage: &Stage,
    image: &Path,
    port: Option<u16>,
    shift: Shift,
    options: &[&str],
    naps: &str,
) -> Outcome<Option<Process>> {
    let Some((instance, pid)) = shift.start("instance under a shifted clock", &restore(image, port, options))? else {
        return Ok(None);
    };
    stage.tell_pid(pid, "naps", naps)?;
    stage.tell_pid(pid, "check", "")?;
    Ok(Some(instance))
}

fn restore(image: &Path, port: Option<u16>, options: &[&str]) -> Command {
    let mut restore = command(["restore"]);
    restore.arg(image).args(options);
    if let Some(port) = port {
        restore.args(["--listen", &format!("{port}=0")]);
    }
    restore
}

/// An instance whose clock is not the host's is captured, and restored where the host's clock is another one again.
fn captured_again(cell: &Cell) -> Outcome {
    let stage = cell.stage("TimedWaits")?;
    let original = stage.start(How::Agent)?;
    take(original.pid(), &stage.image())?;
    drop(original);
    let port = stage.port();
    let again = restore(&stage.image(), port, &["--nap", "1s"]);
    let Some((mut first, pid)) = Shift::to_just_after_boot()?.start("first instance", &again)? else { return Ok(()) };
    let moved = listening(&first, port.ok_or("no port")?)?;
    is_running_at(pid, "TimedWaits").map_err(|why| first.tell(&why))?;
    let image = stage.scratch.join("second-image");
    take(pid, &image)?;
    ensure_eq!(inspected(&image)?["clock_goes_on"], true, "clock_goes_on in inspect");
    let mut instances = Vec::new();
    instances.extend(shifted(&stage, &image, Some(moved), Shift::MONTH_LATER, &[], "2 61000")?);
    let here = Process::start("instance here", restore(&image, Some(moved), NOT_AT_ALL))?;
    stage.tell(&here, "naps", "2 1000")?;
    stage.ask(&here)?;
    instances.push(here);
    stage.tell_pid(pid, "naps", "1 1000")?;
    stage.tell_pid(pid, "check", "")?;
    for instance in &mut instances {
        stage.passes(instance)?;
    }
    stage.passes(&mut first)
}

/// Where libjvm calls libc is written in the template only.
fn the_original_keeps_its_clock(cell: &Cell) -> Outcome {
    let stage = cell.stage("Timers")?;
    let mut original = stage.start(How::Plain)?;
    // The first capture brings the agent, whose symbols libjvm does not see.
    snapshot(original.pid(), &stage.image())?.succeeds()?;
    let constants = constants_of_libjvm(original.pid())?;
    let before = words(original.pid(), &constants)?;
    take(original.pid(), &stage.image())?;
    let after = words(original.pid(), &constants)?;
    ensure!(before == after, "a capture has changed libjvm's constants in the original");
    let mut instance = stage.restore()?;
    is_running(&instance, "Timers")?;
    // Where it lies in the original, it lies in the instance, as a mapping of the image.
    let restored = words(instance.pid(), &constants)?;
    let differing = before.iter().zip(&restored).filter(|(one, other)| one != other).count();
    ensure_eq!(differing, 2, "words of libjvm's constants that differ in an instance");
    stage.check(&mut instance)?;
    stage.check(&mut original)
}

/// libjvm's data that is read-only once it is relocated, its global offset table among it.
fn constants_of_libjvm(pid: u32) -> Outcome<Range<u64>> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).during("maps")?;
    // The last read-only segment: those before hold headers and constants of the file.
    let mut lines = maps.lines().filter(|line| line.ends_with("/libjvm.so") && line.contains(" r--p "));
    let range =
        lines.next_back().and_then(|line| line.split(' ').next()?.split_once('-')).ok_or("no constants of libjvm")?;
    let parse = |address| u64::from_str_radix(address, 16).during("an address in maps");
    Ok(parse(range.0)?..parse(range.1)?)
}

fn words(pid: u32, range: &Range<u64>) -> Outcome<Vec<[u8; 8]>> {
    let memory = File::open(format!("/proc/{pid}/mem")).during("open the memory")?;
    let mut words = vec![[0; 8]; (range.end - range.start) as usize / 8];
    memory.read_exact_at(words.as_flattened_mut(), range.start).during("read libjvm's constants")?;
    Ok(words)
}

fn of_run(cell: &Cell) -> Outcome {
    let stage = cell.stage("TimedWaits")?;
    let mut original = stage.start(How::Run)?;
    run(["snapshot", &original.pid().to_string(), "--max-stop", "2s", "--exit"])?.succeeds()?;
    original.ends_with(0)?;
    let mut again = command(["run", "--restore", "always", "--nap", "20s", "--image"]);
    again.arg(stage.image()).arg("--").arg(stage.jdk.java()).args(stage.arguments()).current_dir(&*stage.scratch);
    let mut instance = Process::start("instance by run", again)?;
    stage.tell(&instance, "naps", "1 20000")?;
    stage.check(&mut instance)
}

fn usage(_: &Cell) -> Outcome {
    for wrong in ["soon", "60", "-1s", "1h", ""] {
        run(["restore", "image", "--nap", wrong])?.fails(2, &["--nap", "whole number", "10s"])?;
        run(["run", "--image", "image", "--nap", wrong, "--", "java"])?.fails(2, &["--nap", "whole number"])?;
    }
    run(["restore", "image", "--nap", "600000m"])?.fails(2, &["--nap", "a year at most"])?;
    for verb in ["restore", "run"] {
        let help = run([verb, "--help"])?.succeeds()?.out;
        ensure!(help.contains("--nap <DURATION>") && help.contains("60s"), "{verb} --help says of --nap: {help}");
    }
    Ok(())
}
