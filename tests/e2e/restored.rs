//! What a restored JVM looks like from outside, and how it ends.

use crate::cat::{Cat, Talk};
use hotfork_tests::hotfork::{bytes_of, take};
use hotfork_tests::matrix::{Cell, Extent, World, cells};
use hotfork_tests::process::Process;
use hotfork_tests::subject::{How, Stage, is_running};
use hotfork_tests::{During, Outcome, ensure, ensure_eq, proc, remains, skip, wait};
use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

pub fn trials(world: &Arc<World>) -> Vec<Trial> {
    [
        cells(world, "restored::looks_as_the_original", 17, Extent::Rotated(0), looks_as_the_original),
        cells(world, "restored::sigterm_runs_the_hooks", 17, Extent::Rotated(1), sigterm_runs_the_hooks),
        cells(world, "restored::sigquit_dumps_the_threads", 17, Extent::Rotated(2), sigquit_dumps_the_threads),
        cells(world, "restored::perf_file_is_its_own", 17, Extent::Rotated(3), perf_file_is_its_own),
        cells(world, "restored::eight_side_by_side", 17, Extent::Rotated(0), eight_side_by_side),
        cells(world, "restored::captured_again", 17, Extent::Rotated(1), captured_again),
        cells(
            world,
            "restored::captured_again_beside_foreign_libraries",
            17,
            Extent::Rotated(2),
            captured_again_beside_foreign_libraries,
        ),
        cells(world, "restored::as_pid_1", 17, Extent::Rotated(3), as_pid_1),
        cells(world, "restored::an_old_image_is_as_good", 17, Extent::Rotated(2), after_the_original_was_killed),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn captured(cell: &Cell, subject: &str, how: How) -> Outcome<(Stage, Process)> {
    let stage = cell.stage(subject)?;
    let original = stage.start(how)?;
    take(original.pid(), &stage.image())?;
    Ok((stage, original))
}

/// ps, top and the like see the java command and the names of its threads.
fn looks_as_the_original(cell: &Cell) -> Outcome {
    let (stage, mut original) = captured(cell, "ThreadNames", How::Plain)?;
    let mut instance = stage.restore()?;
    is_running(&instance, "ThreadNames")?;
    ensure_eq!(proc::command_line(instance.pid())?, proc::command_line(original.pid())?, "command line");
    let wanted = names(&original)?;
    // Each thread takes its name when it has been revived.
    let _ = wait::until(Duration::from_secs(10), "the names are the same", || names(&instance).as_ref() == Ok(&wanted));
    ensure_eq!(names(&instance)?, wanted, "names of the threads");
    ensure_eq!(proc::status(instance.pid(), "Name")?, "java", "name of the process");
    ensure!(proc::threads(instance.pid())?.contains_key(&instance.pid()), "no thread has the pid as its id");
    stage.check(&mut instance)?;
    stage.check(&mut original)
}

/// The attach listener and Hotfork's own thread serve the original's capture; collectors start workers as they like.
fn names(process: &Process) -> Outcome<Vec<String>> {
    let mut names: Vec<String> = proc::threads(process.pid())?.into_values().collect();
    names.retain(|name| !["Attach Listener", "Hotfork"].contains(&name.as_str()) && !name.contains('#'));
    names.sort();
    Ok(names)
}

fn sigterm_runs_the_hooks(cell: &Cell) -> Outcome {
    let (stage, mut original) = captured(cell, "SigTerm", How::Agent)?;
    let mut instance = stage.restore()?;
    instance.signal_soon(Signal::SIGTERM)?;
    instance.says("HOOK ran")?;
    instance.ends_with(143)?;
    let mut another = stage.restore()?;
    stage.check(&mut another)?;
    original.signal(Signal::SIGTERM)?;
    original.says("HOOK ran")?;
    original.ends_with(143)
}

fn sigquit_dumps_the_threads(cell: &Cell) -> Outcome {
    let (stage, mut original) = captured(cell, "SigQuit", How::Run)?;
    let mut instance = stage.restore()?;
    for process in [&instance, &original] {
        process.signal_soon(Signal::SIGQUIT)?;
        process.says_such("a thread dump", |line| line.starts_with("Full thread dump "))?;
        process.says_such("the witness in the dump", |line| line.starts_with("\"witness of SIGQUIT\""))?;
    }
    stage.check(&mut instance)?;
    stage.check(&mut original)
}

/// jps and jstat find each JVM by a file that is named by its pid; an end removes the own one only.
fn perf_file_is_its_own(cell: &Cell) -> Outcome {
    let (stage, mut original) = captured(cell, "Tools", How::Plain)?;
    ensure!(remains::perf_file(original.pid()).is_some(), "the original has no hsperfdata file");
    let mut instance = stage.restore()?;
    wait::until(hotfork_tests::process::LIMIT, "the instance has a hsperfdata file", || {
        remains::perf_file(instance.pid()).is_some()
    })?;
    stage.check(&mut instance)?;
    ensure_eq!(remains::files_of(instance.pid()), Vec::<std::path::PathBuf>::new(), "files of the instance that ended");
    ensure!(remains::perf_file(original.pid()).is_some(), "the instance removed the original's hsperfdata file");
    stage.check(&mut original)?;
    ensure_eq!(remains::files_of(original.pid()), Vec::<std::path::PathBuf>::new(), "files of the original that ended");
    Ok(())
}

/// Eight instances at a time; they end one by one and harm none of the others.
fn eight_side_by_side(cell: &Cell) -> Outcome {
    let (stage, mut original) = captured(cell, "RandomState", How::Agent)?;
    let mut instances = (0..8).map(|_| stage.restore()).collect::<Outcome<Vec<_>>>()?;
    let mut values = std::collections::BTreeSet::new();
    let mut drawn = 0;
    while let Some(mut instance) = instances.pop() {
        stage.check(&mut instance)?;
        for line in instance.out.text().lines().filter(|line| line.starts_with("RANDOM ")) {
            ensure!(values.insert(line.to_string()), "two instances drew the same {line}");
            drawn += 1;
        }
        for other in &mut instances {
            ensure!(other.alive()?, "{}", other.tell("did not survive the end of another"));
        }
    }
    ensure!(drawn > 0, "no instance drew a random value");
    stage.check(&mut original)
}

/// An instance is a JVM like any other: it can be captured.
fn captured_again(cell: &Cell) -> Outcome {
    let (stage, original) = captured(cell, "Load", How::Run)?;
    let first = stage.restore()?;
    let port = stage.port().ok_or("the Load subject has a port")?;
    let moved = hotfork_tests::subject::listening(&first, port)?;
    let mut client = hotfork_tests::http::Client::connect(moved)?;
    hotfork_tests::http::ask_load(&mut client, 1)?;
    let image = stage.scratch.join("second-image");
    take(first.pid(), &image)?;
    hotfork_tests::http::ask_load(&mut client, 2).map_err(|why| first.tell(&why))?;
    drop(client);
    let mut restore = hotfork_tests::hotfork::command(["restore"]);
    restore.arg(&image).args(["--listen", &format!("{moved}=0")]);
    let mut second = Process::start("instance of an instance", restore)?;
    let again = hotfork_tests::subject::listening(&second, moved)?;
    stage.tell(&second, "port", &again.to_string())?;
    for process in [&mut second, &mut { first }, &mut { original }] {
        stage.check(process)?;
    }
    Ok(())
}

/// Beside libraries that are not the JDK's, less is mapped from an image. What is, is memory in the next one as well.
fn captured_again_beside_foreign_libraries(cell: &Cell) -> Outcome {
    let (stage, original) = captured(cell, "TempNativeLibrary", How::Plain)?;
    let first = stage.restore()?;
    is_running(&first, "TempNativeLibrary")?;
    let image = stage.scratch.join("second-image");
    take(first.pid(), &image)?;
    let heap = bytes_of(&stage.image(), "java heap", "in_image")?;
    let heap_again = bytes_of(&image, "java heap", "in_image")?;
    ensure!(2 * heap_again > heap, "{heap_again} bytes of Java heap in the second image, {heap} in the first");
    // The second does not need it.
    std::fs::remove_file(stage.image()).during("remove the first image")?;
    let second = stage.restore_with(&image, |_| {})?;
    is_running(&second, "TempNativeLibrary")?;
    for mut process in [second, first, original] {
        stage.check(&mut process)?;
    }
    Ok(())
}

/// A JVM that was killed leaves its files to chance; the image does not depend on them.
fn after_the_original_was_killed(cell: &Cell) -> Outcome {
    let (stage, original) = captured(cell, "Timers", How::Plain)?;
    drop(original);
    let mut instance = stage.restore()?;
    stage.check(&mut instance)
}

/// As in a container: the instance is init, and its tids are small.
fn as_pid_1(cell: &Cell) -> Outcome {
    let cat = Cat::new(cell)?;
    let mut original = cat.taken()?;
    let restore = cat.restore();
    let mut unshare = Command::new("unshare");
    unshare
        .args(["--pid", "--fork", "--mount-proc", "--kill-child"])
        .arg(restore.get_program())
        .args(restore.get_args());
    let may = Command::new("unshare").args(["--pid", "--fork", "--mount-proc", "true"]).status();
    if !may.is_ok_and(|status| status.success()) {
        skip::skip("restored as pid 1", "a pid namespace takes root: run ./x test as root");
        return original.exits(0);
    }
    let mut instance = Talk::start("instance as pid 1", unshare)?;
    instance.is_restored("hello")?;
    original.say("still here")?;
    instance.exits(6)?;
    original.exits(0)
}
