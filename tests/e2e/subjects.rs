//! Every subject of the jar on every JDK: captured, then checked in the original and in instances.

use hotfork_tests::hotfork::{no_unfinished, snapshot, take};
use hotfork_tests::matrix::{Cell, Extent, World, cells};
use hotfork_tests::process::Process;
use hotfork_tests::subject::{How, Stage, Subject};
use hotfork_tests::{Outcome, ensure};
use libtest_mimic::Trial;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

/// State that each collector handles in a way of its own.
const WITH_EVERY_COLLECTOR: [&str; 5] = ["ClassUnloading", "GcStorm", "JitStorm", "LargeHeap", "ThreadStates"];
/// Other shapes of the heap, and what is tried with them.
const OTHER_HEAPS: [(&str, &str, &str); 4] = [
    ("GcStorm", "uncompressed-oops", "-XX:-UseCompressedOops"),
    ("LargeHeap", "uncompressed-oops", "-XX:-UseCompressedOops"),
    ("LargeHeap", "4g", "-Xmx4g"),
    ("ThreadStates", "4g", "-Xmx4g"),
];

pub fn trials(world: &Arc<World>) -> Vec<Trial> {
    let mut trials = Vec::new();
    for (number, subject) in world.subjects.iter().enumerate() {
        let whole = WITH_EVERY_COLLECTOR.contains(&subject.name.as_str());
        let extent = if whole { Extent::Whole } else { Extent::Rotated(number) };
        let how = How::ALL[number % How::ALL.len()];
        trials.extend(of_subject(world, subject, extent, how, None));
        for (shift, (_, name, option)) in OTHER_HEAPS.iter().enumerate().filter(|(_, heap)| heap.0 == subject.name) {
            trials.extend(of_subject(world, subject, Extent::Rotated(number + shift), how, Some((name, option))));
        }
    }
    trials
}

fn of_subject(
    world: &Arc<World>,
    subject: &Subject,
    extent: Extent,
    how: How,
    heap: Option<(&'static str, &'static str)>,
) -> Vec<Trial> {
    let name = match heap {
        Some((name, _)) => format!("subject::{}::{name}", subject.name),
        None => format!("subject::{}", subject.name),
    };
    let subject = subject.clone();
    let least_jdk = subject.least_jdk;
    let test = move |cell: &Cell| {
        let mut stage = Stage::new(&subject, &cell.jdk, cell.collector)?;
        stage.options.extend(heap.map(|(_, option)| option.to_string()));
        match &subject.refused {
            Some(_) => refused(&stage, how),
            None if subject.alone => one_at_a_time(&stage, how),
            None => side_by_side(&stage, how),
        }
    };
    cells(world, &name, least_jdk, extent, test)
}

/// Two instances beside the original; a third one when all of them have ended.
fn side_by_side(stage: &Stage, how: How) -> Outcome {
    let mut seen = Seen::default();
    let mut original = stage.start(how)?;
    take(original.pid(), &stage.image())?;
    let mut instances = [restore(stage)?, restore(stage)?];
    for instance in &instances {
        stage.ask(instance)?;
    }
    for instance in &mut instances {
        stage.passes(instance)?;
        seen.look_at(instance)?;
    }
    seen.kept(&original)?;
    stage.check(&mut original)?;
    // Said in the log, which the subject of the environment asks for.
    let slow = original.err.text().contains("will take Java code");
    ensure!(!slow, "{}", original.tell("its environment's entries were not found"));
    seen.look_at(&original)?;
    let mut late = restore(stage)?;
    stage.check(&mut late)?;
    seen.look_at(&late)
}

/// State that one process at a time may have: the original, then one instance after the other.
fn one_at_a_time(stage: &Stage, how: How) -> Outcome {
    let mut original = stage.start(how)?;
    take(original.pid(), &stage.image())?;
    stage.check(&mut original)?;
    for _ in 0..2 {
        let mut instance = restore(stage)?;
        stage.check(&mut instance)?;
    }
    Ok(())
}

/// What cannot be carried is named, and the JVM does not notice.
fn refused(stage: &Stage, how: How) -> Outcome {
    let mut original = stage.start(how)?;
    let refusal = snapshot(original.pid(), &stage.image())?.fails(114, &[])?;
    let names_it = stage.subject.refused.as_ref().is_some_and(|expected| expected.is_match(&refusal.err));
    ensure!(names_it, "the refusal does not match {:?}: {}", stage.subject.refused, refusal.err);
    for named in lines(&original, "NAMES ") {
        ensure!(refusal.err.contains(&named), "the refusal does not name {named}: {}", refusal.err);
    }
    ensure!(!stage.image().exists(), "there is an image of what was refused");
    no_unfinished(&stage.image())?;
    stage.check(&mut original)
}

/// With the environment that the subject is told to expect.
fn restore(stage: &Stage) -> Outcome<Process> {
    let instance = stage.restore_with(&stage.image(), |command| {
        command.env("HOTFORK_TEST_ENV", "restored").env("HOTFORK_TEST_CALLER", "from the caller");
        command.args(["--env", "HOTFORK_TEST_OPTION=from=the option"]);
    })?;
    let expected =
        "HOTFORK_TEST_ENV=restored\nHOTFORK_TEST_CALLER=from the caller\nHOTFORK_TEST_OPTION=from=the option\n";
    stage.tell(&instance, "env", expected)?;
    Ok(instance)
}

/// What the processes of a subject said that has to hold among all of them.
#[derive(Default)]
struct Seen {
    random: BTreeSet<String>,
}

impl Seen {
    /// A process that has ended: its random values are its own, the files that it said it drops are gone.
    fn look_at(&mut self, process: &Process) -> Outcome {
        for value in lines(process, "RANDOM ") {
            ensure!(self.random.insert(value.clone()), "two processes drew the same {value}");
        }
        for file in lines(process, "DROP ").map(PathBuf::from) {
            ensure!(!file.exists(), "{} is still there: {}", file.display(), process.tell("should have deleted it"));
        }
        for file in lines(process, "KEEP ").map(PathBuf::from) {
            ensure!(!file.exists(), "{} outlived {}", file.display(), process.name());
        }
        Ok(())
    }

    /// What the original keeps is there, although instances have ended.
    fn kept(&self, original: &Process) -> Outcome {
        for file in lines(original, "KEEP ").map(PathBuf::from) {
            ensure!(file.exists(), "an instance that ended took {} along", file.display());
        }
        Ok(())
    }
}

/// What follows `prefix` in the lines of a process.
fn lines(process: &Process, prefix: &str) -> impl Iterator<Item = String> {
    let text = process.out.text();
    let found: Vec<String> = text.lines().filter_map(|line| line.strip_prefix(prefix)).map(str::to_string).collect();
    found.into_iter()
}
