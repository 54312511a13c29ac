//! `--when warm`: the detector's verdict, on JVMs that become warm and on those that do not.

use crate::cat::{Cat, Talk};
use hotfork_tests::hotfork::{command, finish, inspected};
use hotfork_tests::matrix::{Cell, Extent, World, cells, once};
use hotfork_tests::{Outcome, ensure, ensure_eq};
use libtest_mimic::Trial;
use serde_json::Value;
use std::sync::Arc;

const SAVED: &str = "image ";

pub fn trials(world: &Arc<World>) -> Vec<Trial> {
    [
        cells(world, "warm::a_busy_jvm", 17, Extent::Rotated(1), a_busy_jvm),
        cells(world, "warm::an_idle_jvm", 17, Extent::Rotated(2), an_idle_jvm),
        cells(world, "warm::watched", 17, Extent::Rotated(3), watched),
        once(world, "warm::interpreted", |cell| becomes_warm_with(cell, "-Xint")),
        once(world, "warm::first_tier_only", |cell| becomes_warm_with(cell, "-XX:TieredStopAtLevel=1")),
        once(world, "warm::last_tier_only", |cell| becomes_warm_with(cell, "-XX:-TieredCompilation")),
        once(world, "warm::without_counters", |cell| becomes_warm_with(cell, "-XX:-UsePerfData")),
        once(world, "warm::and_ready", and_ready),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn taken(cat: &Cat) -> Outcome<Value> {
    Ok(inspected(&cat.image())?["taken"].clone())
}

/// The evidence of an image that was taken because its JVM was warm.
pub fn proven(cat: &Cat) -> Outcome<Value> {
    let taken = taken(cat)?;
    let evidence = &taken["evidence"];
    ensure_eq!(evidence["warm"], true, "the verdict in {taken}");
    let number = |name: &str| evidence[name].as_u64().unwrap_or(0);
    ensure!(number("window_application_cpu_ns") >= 750_000_000, "too little work in {evidence}");
    let (hot, cold) = (number("hot_samples"), number("cold_samples"));
    ensure!(hot + cold >= 80 && cold * 20 <= hot + cold, "samples in {evidence}");
    Ok(taken)
}

/// Nothing is said of when: it is captured when it is warm, after a collection, and goes on.
fn a_busy_jvm(cell: &Cell) -> Outcome {
    let cat = Cat::new(cell)?;
    let mut one = Talk::start("first run", cat.run(&["--max-stop", "2s"]))?;
    one.is_new()?;
    one.say("work")?;
    one.hotfork_tells(SAVED)?;
    let taken = proven(&cat)?;
    ensure_eq!(taken["occasion"], "warm", "occasion");
    let rest = taken["rest"].as_str().unwrap_or_default();
    for word in ["idle monitors deflated", "chunk pool emptied", "collected in", "served on", "compilers idle"] {
        ensure!(rest.contains(word), "what was done before it, in which {word:?} is missing: {rest}");
    }
    let mut two = Talk::start("second run", cat.run(&["--max-stop", "2s"]))?;
    two.is_restored("hello")?;
    one.exits(0)?;
    two.exits(0)
}

/// An idle JVM is never warm: it waits, and says why at its end; or the deadline comes.
fn an_idle_jvm(cell: &Cell) -> Outcome {
    let cat = Cat::new(cell)?;
    let mut waiting = Talk::start("one that waits", cat.run(&[]))?;
    waiting.is_new()?;
    waiting.process.out.text();
    waiting.exits(0)?;
    waiting.hotfork_tells("ended before it was proven warm: no image was made (")?;
    ensure!(!cat.image().exists(), "an image of an idle JVM");

    let mut one = Talk::start("a run", cat.run(&["--deadline", "1500ms", "--max-stop", "2s"]))?;
    one.is_new()?;
    one.hotfork_tells(SAVED)?;
    let taken = taken(&cat)?;
    let occasion = taken["occasion"].as_str().unwrap_or_default();
    ensure!(occasion.starts_with("not proven warm at the deadline, 1.5s after the start: "), "occasion {occasion:?}");
    ensure!(occasion.contains("of work seen"), "occasion {occasion:?}");
    ensure_eq!(taken["evidence"]["warm"], false, "the verdict in {taken}");
    ensure!(taken["rest"].as_str().unwrap_or_default().contains("not collected: the application is idle"), "{taken}");
    one.exits(0)?;
    finish("restore", cat.restore())?.succeeds()?;
    Ok(())
}

/// What this JVM compiles to last is what counts.
fn becomes_warm_with(cell: &Cell, flag: &str) -> Outcome {
    let cat = Cat::new(cell)?;
    let mut run = command(["run", "--no-quiesce", "--max-stop", "2s", "--image"]);
    run.arg(cat.image()).arg("--").arg(cell.jdk.java()).arg(flag).args(cat.arguments());
    run.current_dir(&*cat.scratch);
    let mut one = Talk::start(flag, run)?;
    one.is_new()?;
    one.say("work")?;
    one.hotfork_tells(SAVED)?;
    proven(&cat)?;
    one.exits(0)
}

/// Both words are waited for.
fn and_ready(cell: &Cell) -> Outcome {
    let cat = Cat::new(cell)?;
    let mut command = crate::run::with_interface(&cat, &["--when", "warm+ready", "--no-quiesce", "--max-stop", "2s"]);
    command.current_dir(&*cat.scratch);
    let mut one = Talk::start("a run", command)?;
    one.is_new()?;
    one.say("work")?;
    until_warm(&one)?;
    ensure!(!cat.image().exists(), "there is an image before the application was ready");
    one.say("ready")?;
    one.hotfork_tells(SAVED)?;
    ensure_eq!(proven(&cat)?["occasion"], "warm, and ready, said the application", "occasion");
    one.exits(0)
}

fn until_warm(talk: &Talk) -> Outcome<String> {
    let pid = talk.process.pid().to_string();
    Ok(finish("watch", command(["watch", &pid, "--until-warm", "--json"]))?.succeeds()?.out)
}

/// The detector at work, on a JVM that was started without the agent.
fn watched(cell: &Cell) -> Outcome {
    let cat = Cat::new(cell)?;
    let mut talk = cat.talk()?;
    let pid = talk.process.pid().to_string();
    let idle = finish("watch", command(["watch", &pid, "--for", "1s"]))?.succeeds()?.out;
    ensure!(idle.contains("of work seen, 750.0ms wanted"), "what is said of an idle JVM: {idle}");
    talk.say("work")?;
    let ticks = until_warm(&talk)?;
    let ticks: Vec<Value> = ticks.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let (last, before) = ticks.split_last().ok_or("no ticks")?;
    ensure_eq!(last["warm"], true, "the last tick: {last}");
    ensure!(before.iter().all(|tick| tick["warm"] == false), "it was warm before it ended");
    ensure!(before.iter().all(|tick| tick["reasons"] != ""), "a tick without a reason");
    let busy = last["app_cpu_ns"].as_u64().unwrap_or(0);
    ensure!(busy > 50_000_000, "application CPU time in the last tick: {last}");
    talk.exits(0)
}
