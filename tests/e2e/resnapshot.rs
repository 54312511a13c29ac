//! `run --resnapshot`: a better image of a JVM that has changed since its first, and no second one of a JVM that has not.

use crate::cat::{Cat, Talk};
use hotfork_tests::hotfork::{command, finish, inspected, no_unfinished};
use hotfork_tests::matrix::{Cell, Extent, World, cells, once};
use hotfork_tests::process::LIMIT;
use hotfork_tests::{Outcome, ensure, ensure_eq, wait};
use libtest_mimic::Trial;
use serde_json::Value;
use std::process::Command;
use std::sync::Arc;

pub fn trials(world: &Arc<World>) -> Vec<Trial> {
    [
        cells(world, "resnapshot::a_jvm_that_changes", 17, Extent::Rotated(1), a_jvm_that_changes),
        once(world, "resnapshot::a_jvm_that_does_not_change", a_jvm_that_does_not_change),
        once(world, "resnapshot::an_image_that_is_not_proven_warm", an_image_that_is_not_proven_warm),
        once(world, "resnapshot::the_image_stays_where_another_fails", the_image_stays_where_another_fails),
        once(world, "resnapshot::the_agent_alone", the_agent_alone),
        once(world, "resnapshot::usage", usage),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// In the line that says that an image is there.
const SAVED: &str = "saving took";
const CHANGED: &str = "the JVM has changed since its image was taken: ";
const QUICK: [&str; 4] = ["--resnapshot", "--no-quiesce", "--max-stop", "2s"];

fn lines(talk: &Talk, word: &str) -> usize {
    talk.process.err.text().lines().filter(|line| line.contains(word)).count()
}

/// Waits until so many images have been taken of it; what the last one says.
fn taken(cat: &Cat, talk: &Talk, images: usize) -> Outcome<Value> {
    wait::until(LIMIT, &format!("there are {images} images"), || lines(talk, SAVED) >= images)
        .map_err(|why| talk.process.tell(&why))?;
    ensure_eq!(lines(talk, SAVED), images, "images; {}", talk.process.tell("has said"));
    no_unfinished(&cat.image())?;
    Ok(inspected(&cat.image())?["taken"].clone())
}

fn number(taken: &Value, name: &str) -> u64 {
    taken["evidence"][name].as_u64().unwrap_or(0)
}

/// One that works, and the image that was taken of it.
fn warm(cat: &Cat, command: Command) -> Outcome<(Talk, Value)> {
    let mut talk = Talk::start("original", command)?;
    talk.is_new()?;
    talk.say("work")?;
    let first = taken(cat, &talk, 1)?;
    ensure_eq!(first["occasion"], "warm", "occasion");
    Ok((talk, first))
}

/// It has been given other work; the better image that follows.
fn better(cat: &Cat, talk: &mut Talk, first: &Value) -> Outcome<Value> {
    talk.say("other work")?;
    let line = talk.hotfork_tells(CHANGED)?;
    ensure!(line.contains(" classes are new"), "how it has changed: {line}");
    ensure!(line.ends_with("; a better image follows when it is warm again"), "what follows: {line}");
    let second = taken(cat, talk, 2)?;
    let occasion = second["occasion"].as_str().unwrap_or_default();
    ensure!(occasion.starts_with("warm again; since the last image "), "occasion {occasion:?}");
    ensure!(occasion.contains(" classes are new"), "occasion {occasion:?}");
    ensure_eq!(second["evidence"]["warm"], true, "the verdict in {second}");
    ensure!(number(&second, "classes") >= number(first, "classes") + 150, "classes in {second} after {first}");
    for grows in ["judged_ns", "age_ns", "application_cpu_ns"] {
        ensure!(number(&second, grows) > number(first, grows), "{grows} in {second} after {first}");
    }
    ensure_eq!(lines(talk, CHANGED), 1, "lines about the change; {}", talk.process.tell("has said"));
    Ok(second)
}

/// Nobody waits for an image of this one.
fn is_promised_nothing(mut talk: Talk) -> Outcome {
    talk.exits(0)?;
    let said = talk.process.err.text();
    for word in ["changed", "better", "no image was made"] {
        ensure!(!said.contains(word), "{}", talk.process.tell(&format!("speaks of {word:?}")));
    }
    Ok(())
}

/// The first image is of its first work, the second of its other work; both restore what they are of.
fn a_jvm_that_changes(cell: &Cell) -> Outcome {
    let cat = Cat::new(cell)?;
    let options = ["--resnapshot", "--max-stop", "2s"];
    let (mut one, first) = warm(&cat, cat.run(&options))?;
    let mut early = Talk::start("instance of the first image", cat.run(&options))?;
    early.is_restored("work?")?;
    early.process.says("work of 0 other classes")?;
    let second = better(&cat, &mut one, &first)?;
    let rest = second["rest"].as_str().unwrap_or_default();
    ensure!(rest.contains("compilers idle"), "what was done before it: {rest}");

    let mut late = Talk::start("instance of the second image", cat.run(&options))?;
    late.is_restored("work?")?;
    late.process.says("work of 150 other classes")?;
    // Instances that change, as their original did.
    for instance in [&mut early, &mut late] {
        instance.say("other work")?;
        spends(instance, 8)?;
    }
    is_promised_nothing(early)?;
    is_promised_nothing(late)?;
    one.exits(0)?;
    ensure_eq!(lines(&one, "no image was made"), 0, "{}", one.process.tell("regrets an image that is there"));
    Ok(())
}

/// Waits until it has used so many seconds of processors more.
fn spends(talk: &Talk, seconds: u64) -> Outcome {
    let pid = talk.process.pid();
    let ticks = || {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields: Vec<u64> =
            text.rsplit(") ").next().unwrap_or("").split(' ').map(|f| f.parse().unwrap_or(0)).collect();
        fields.get(11..13).map_or(0, |times| times.iter().sum::<u64>())
    };
    // USER_HZ is 100 on x86.
    let goal = ticks() + seconds * 100;
    wait::until(LIMIT, &format!("it has worked for {seconds} s"), || ticks() >= goal)
        .map_err(|why| talk.process.tell(&why))
}

/// Longer than the work that must lie between two images.
fn a_jvm_that_does_not_change(cell: &Cell) -> Outcome {
    let cat = Cat::new(cell)?;
    let (one, first) = warm(&cat, cat.run(&QUICK))?;
    spends(&one, 5 + number(&first, "application_cpu_ns").div_ceil(1_000_000_000) + 3)?;
    let last = taken(&cat, &one, 1)?;
    ensure_eq!(last, first, "what is said of the image");
    is_promised_nothing(one)
}

/// An idle JVM's deadline comes; later it works.
fn an_image_that_is_not_proven_warm(cell: &Cell) -> Outcome {
    let cat = Cat::new(cell)?;
    let mut one = Talk::start("a run", cat.run(&[&QUICK[..], &["--deadline", "1s"]].concat()))?;
    one.is_new()?;
    let first = taken(&cat, &one, 1)?;
    ensure_eq!(first["evidence"]["warm"], false, "the verdict in {first}");
    one.hotfork_tells("the image is not proven warm: a better one follows when the JVM is")?;
    one.say("work")?;
    let second = taken(&cat, &one, 2)?;
    ensure_eq!(second["occasion"], "warm; the image before was not proven warm", "occasion");
    ensure_eq!(second["evidence"]["warm"], true, "the verdict in {second}");
    finish("restore", cat.restore())?.succeeds()?;
    one.exits(0)
}

fn the_image_stays_where_another_fails(cell: &Cell) -> Outcome {
    let cat = Cat::new(cell)?;
    let (mut one, first) = warm(&cat, cat.run(&QUICK))?;
    let held = cat.scratch.join("held");
    one.say(&format!("hold {}", held.display()))?;
    one.say("other work")?;
    one.hotfork_tells(CHANGED)?;
    one.hotfork_tells("trying again in 10 s")?;
    let line = one.hotfork_tells("the JVM goes on, its image stays and no other will be made")?;
    ensure!(line.contains(&held.display().to_string()), "why it failed: {line}");
    ensure_eq!(lines(&one, "trying again"), 2, "attempts; {}", one.process.tell("has said"));
    ensure_eq!(taken(&cat, &one, 1)?, first, "what is said of the image");
    one.exits(0)?;
    ensure_eq!(lines(&one, "no image was made"), 0, "{}", one.process.tell("regrets an image that is there"));
    let mut two = Talk::start("instance", cat.run(&QUICK))?;
    two.is_restored("hello")?;
    is_promised_nothing(two)
}

/// By the agent's options, which go through `hotfork run`, since there is a file.
fn the_agent_alone(cell: &Cell) -> Outcome {
    let cat = Cat::new(cell)?;
    std::fs::write(cat.image(), "no image").map_err(|error| format!("write a file: {error}"))?;
    let options = "restore=auto,quiesce=false,max-stop=2s,resnapshot=true";
    let (mut one, first) = warm(&cat, cat.agent(options))?;
    better(&cat, &mut one, &first)?;
    one.exits(0)
}

fn usage(cell: &Cell) -> Outcome {
    let cat = Cat::new(cell)?;
    for when in ["manual", "ready", "after=9s"] {
        let run = cat.run(&["--resnapshot", "--when", when]);
        finish("run", run)?.fails(2, &["--resnapshot", "--when warm or warm+ready", "leave --resnapshot out"])?;
    }
    finish("run", cat.run(&["--resnapshot", "--exit"]))?
        .fails(2, &["--resnapshot and --exit", "leave one of them out"])?;
    let help = finish("help", command(["run", "--help"]))?.succeeds()?.out;
    ensure!(help.contains("--resnapshot"), "run --help says {help}");
    let mut java = cat.agent("when=manual,resnapshot");
    java.stdin(std::process::Stdio::null());
    let refused = finish("java", java)?;
    ensure!(refused.code != 0, "java with the agent starts");
    let line = "hotfork: agent option resnapshot takes a better image after that of when=warm or warm+ready: ";
    ensure!(refused.err.contains(line), "java says {}", refused.err);
    Ok(())
}
