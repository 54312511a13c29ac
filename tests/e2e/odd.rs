//! The detector on JVMs that cannot show it everything, or cannot compile.

use crate::cat::{Cat, Talk};
use crate::warm::proven;
use hotfork_tests::hotfork::{command, finish};
use hotfork_tests::matrix::{Cell, Extent, World, cells};
use hotfork_tests::process::Process;
use hotfork_tests::scratch::Scratch;
use hotfork_tests::stripped::without_symbols;
use hotfork_tests::{During, Outcome, ensure, ensure_eq};
use libtest_mimic::Trial;
use serde_json::Value;
use std::sync::Arc;

pub fn trials(world: &Arc<World>) -> Vec<Trial> {
    [
        cells(world, "odd::a_full_code_cache", 17, Extent::Rotated(0), |cell| a_full_code_cache(cell, false)),
        cells(world, "odd::a_full_code_cache_without_symbols", 17, Extent::Rotated(1), |cell| {
            a_full_code_cache(cell, true)
        }),
        cells(world, "odd::no_symbol_table", 17, Extent::Rotated(2), no_symbol_table),
    ]
    .into_iter()
    .flatten()
    .collect()
}

const FULL: &str = "the code cache is full and nothing compiles: raise -XX:ReservedCodeCacheSize";

fn tick(line: &str) -> Outcome<Value> {
    serde_json::from_str(line).during(format_args!("read the tick {line:?}"))
}

/// Once it is full its compilers stop for good, and much is not compiled: it is never warm, and the reason is named.
fn a_full_code_cache(cell: &Cell, stripped: bool) -> Outcome {
    let place = Scratch::new()?;
    let jdk = if stripped { without_symbols(&cell.jdk, &place.join("jdk"))? } else { cell.jdk.clone() };
    let cat = Cat::new(&Cell { jdk, ..cell.clone() })?;
    let mut run = command(["run", "--image"]);
    run.arg(cat.image()).arg("--").arg(cat.cell.jdk.java()).args([
        "-XX:ReservedCodeCacheSize=2560k",
        "-XX:-UseCodeCacheFlushing",
        // Soon.
        "-XX:CompileThresholdScaling=0.02",
    ]);
    run.args(cat.arguments()).current_dir(&*cat.scratch);
    let mut one = Talk::start("a run", run)?;
    one.is_new()?;
    one.say("many")?;
    let pid = one.process.pid().to_string();
    let watch = Process::start("watch", command(["watch", &pid, "--json"]))?;
    let full = tick(&watch.says_such("a tick of a full code cache", |line| line.contains(FULL))?)?;
    ensure_eq!(full["compilers_stopped"], true, "in {full}");
    drop(watch);
    // It stays so, and the JVM's own detector, which looks as often, has seen it too.
    let later = finish("watch", command(["watch", &pid, "--json", "--for", "3s"]))?.succeeds()?.out;
    let last = tick(later.lines().last().unwrap_or_default())?;
    ensure_eq!((&last["compilers_stopped"], &last["warm"]), (&Value::from(true), &Value::from(false)), "in {last}");
    ensure!(last["reasons"].as_str().unwrap_or_default().ends_with(FULL), "the reasons in {last}");
    one.exits(0)?;
    let line = one.hotfork_tells("ended before it was proven warm: no image was made (")?;
    ensure!(line.contains(FULL), "the line at its end: {line}");
    ensure!(!cat.image().exists(), "an image of a JVM that is not warm");
    Ok(())
}

/// Nobody knows what waits for a compiler: the other signals say when it is warm.
fn no_symbol_table(cell: &Cell) -> Outcome {
    let place = Scratch::new()?;
    let jdk = without_symbols(&cell.jdk, &place.join("jdk"))?;
    let cat = Cat::new(&Cell { jdk, ..cell.clone() })?;
    let mut one = Talk::start("a run", cat.run(&["--when", "warm", "--no-quiesce", "--max-stop", "2s"]))?;
    one.is_new()?;
    let pid = one.process.pid().to_string();
    let watch = |options: &[&str]| -> Outcome<String> {
        let mut watch = command(["watch", &pid, "--for", "1s"]);
        watch.args(options);
        Ok(finish("watch", watch)?.succeeds()?.out)
    };
    let shown = tick(watch(&["--json"])?.lines().last().unwrap_or_default())?;
    ensure!(shown["app_cpu_ns"].is_u64() && shown["compile_queue"].is_null(), "the queue is not known in {shown}");
    let words = watch(&[])?;
    ensure!(words.contains("queue   ?"), "the queue is not known in {words}");
    one.say("work")?;
    one.hotfork_tells("image ")?;
    let taken = proven(&cat)?;
    ensure_eq!(taken["occasion"], "warm", "occasion");
    ensure!(taken["evidence"]["compile_queue"].is_null(), "the queue is not known in {taken}");
    let mut two = Talk::start("second run", cat.run(&[]))?;
    two.is_restored("hello")?;
    one.exits(0)?;
    two.exits(0)
}
