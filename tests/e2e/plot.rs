//! `hotfork watch --plot`: what is drawn, however the watch ends.

use crate::cat::Cat;
use hotfork_tests::hotfork::{Finished, command, finish, no_unfinished};
use hotfork_tests::matrix::{Cell, World, once};
use hotfork_tests::process::Process;
use hotfork_tests::{During, Outcome, ensure, ensure_eq, proc, skip};
use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

pub fn trials(world: &Arc<World>) -> Vec<Trial> {
    [
        once(world, "plot::until_warm", until_warm),
        once(world, "plot::interrupted", |cell| ended_by(cell, Signal::SIGINT)),
        once(world, "plot::terminated", |cell| ended_by(cell, Signal::SIGTERM)),
        once(world, "plot::the_jvm_ends", the_jvm_ends),
        once(world, "plot::a_place_that_cannot_be_written", a_place_that_cannot_be_written),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn plot(cat: &Cat) -> PathBuf {
    cat.scratch.join("plot.svg")
}

fn watch(pid: u32, cat: &Cat, options: &[&str]) -> Command {
    let mut watch = command(["watch", &pid.to_string(), "--plot"]);
    watch.arg(plot(cat)).args(options);
    watch
}

/// The plot, whole and alone.
fn drawn(cat: &Cat) -> Outcome<String> {
    no_unfinished(&plot(cat))?;
    let svg = std::fs::read_to_string(plot(cat)).during("read the plot")?;
    ensure!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"), "no whole SVG: {svg}");
    Ok(svg)
}

/// Lines go on being printed, and the verdict's moment is marked.
fn until_warm(cell: &Cell) -> Outcome {
    let cat = Cat::new(cell)?;
    let mut talk = cat.talk()?;
    talk.say("work")?;
    let Finished { out, err, .. } =
        finish("watch", watch(talk.process.pid(), &cat, &["--until-warm", "--json"]))?.succeeds()?;
    ensure!(err.contains(&format!("hotfork: plot {}", plot(&cat).display())), "it says where: {err}");
    let last: serde_json::Value = serde_json::from_str(out.lines().last().unwrap_or_default()).during("read a tick")?;
    let seconds = last["at_ns"].as_u64().unwrap_or(0) as f64 / 1e9;
    let svg = drawn(&cat)?;
    for text in [format!("warm after {seconds:.2} s"), format!("warm: {seconds:.2} s")] {
        ensure!(svg.contains(&text), "{text:?} is not in {svg}");
    }
    talk.exits(0)
}

/// The plot is there, and the watch has died of the signal.
fn ended_by(cell: &Cell, signal: Signal) -> Outcome {
    let bit = 1u64 << (signal as i32 - 1);
    let ignored = u64::from_str_radix(&proc::status(std::process::id(), "SigIgn")?, 16).during("read SigIgn")?;
    if ignored & bit != 0 {
        skip::skip(
            &format!("plot and {signal}"),
            "the tests were started with it ignored: start them in the foreground",
        );
        return Ok(());
    }
    let cat = Cat::new(cell)?;
    let mut talk = cat.talk()?;
    let mut watch = Process::start("watch", watch(talk.process.pid(), &cat, &[]))?;
    watch.says_such("a tick", |line| line.contains("of work seen"))?;
    ensure!(!plot(&cat).exists(), "there is a plot before the end");
    watch.signal(signal)?;
    watch.ends_with(128 + signal as i32)?;
    let svg = drawn(&cat)?;
    ensure!(svg.contains("not warm after") && svg.contains("of work seen, 750.0ms wanted"), "the title in {svg}");
    talk.exits(0)
}

fn the_jvm_ends(cell: &Cell) -> Outcome {
    let cat = Cat::new(cell)?;
    let mut talk = cat.talk()?;
    let mut watch = Process::start("watch", watch(talk.process.pid(), &cat, &[]))?;
    watch.says_such("a tick", |line| line.contains("of work seen"))?;
    talk.exits(0)?;
    watch.ends_with(0)?;
    ensure!(drawn(&cat)?.contains("not warm after"), "the title");
    Ok(())
}

/// It is told before anything is asked of the JVM.
fn a_place_that_cannot_be_written(cell: &Cell) -> Outcome {
    let cat = Cat::new(cell)?;
    let mut talk = cat.talk()?;
    let pid = talk.process.pid();
    let nowhere = cat.scratch.join("nowhere/plot.svg");
    let mut missing = command(["watch", &pid.to_string(), "--for", "1s", "--plot"]);
    missing.arg(&nowhere);
    let failed = finish("watch", missing)?;
    ensure_eq!(failed.out, "", "ticks");
    let words = ["cannot write the plot", "nowhere/plot.svg", "No such file or directory", "name another --plot"];
    failed.fails(116, &words)?;
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).during("read the JVM's maps")?;
    ensure!(!maps.contains("libhotfork.so"), "the agent was loaded all the same");
    talk.exits(0)
}
