//! What the agent costs that is loaded and asked for nothing: CPU time of a start, and of fixed work.

use super::program::{self, Program};
use crate::bench::Bench;
use crate::failure::{During, Outcome};
use crate::jdk::{Collector, Jdk};
use crate::process::Process;
use crate::sample::HTTP;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde::Serialize;
use std::ffi::OsString;
use std::process::Command;

#[derive(Serialize)]
pub struct IdleAgent {
    pub jdk: String,
    pub collector: &'static str,
    pub start: Vec<Pair>,
    pub fixed_load: Vec<Pair>,
}

/// CPU time, user and system, in nanoseconds, of some runs with and as many without, which took turns. One run differs
/// from the next by a tenth, on a machine that others use too.
#[derive(Default, Serialize)]
pub struct Pair {
    pub with_agent: Vec<u64>,
    pub without: Vec<u64>,
}

impl Pair {
    pub fn sums(&self) -> (f64, f64) {
        (self.with_agent.iter().sum::<u64>() as f64, self.without.iter().sum::<u64>() as f64)
    }
}

pub fn measure(bench: &mut Bench, jdk: &Jdk) -> Outcome<IdleAgent> {
    let collector = Collector::G1;
    bench.progress.step(&format!("CPU of an idle agent, JDK {}, {}", jdk.major, collector.name()));
    let mut start = Vec::new();
    let mut fixed_load = Vec::new();
    // The first of each is not counted on either side: it reads files.
    start_cpu(bench, jdk, collector, false)?;
    start_cpu(bench, jdk, collector, true)?;
    for number in 0..bench.plan.pairs {
        bench.progress.show(&format!("pair {} of {}", number + 1, bench.plan.pairs));
        start.push(pair(bench.plan.runs_of_pair, |with_agent| start_cpu(bench, jdk, collector, with_agent))?);
        fixed_load.push(pair(bench.plan.runs_of_pair, |with_agent| fixed_load_cpu(bench, jdk, collector, with_agent))?);
    }
    bench.progress.clear();
    Ok(IdleAgent { jdk: jdk.version.clone(), collector: collector.name(), start, fixed_load })
}

/// Turn by turn, and who begins alternates too.
fn pair(runs: usize, mut measure: impl FnMut(bool) -> Outcome<u64>) -> Outcome<Pair> {
    let mut pair = Pair::default();
    for run in 0..runs {
        let agent_first = run % 2 == 0;
        for with_agent in [agent_first, !agent_first] {
            let cpu = measure(with_agent)?;
            if with_agent { &mut pair.with_agent } else { &mut pair.without }.push(cpu);
        }
    }
    Ok(pair)
}

/// The HTTP service from exec until it listens.
fn start_cpu(bench: &Bench, jdk: &Jdk, collector: Collector, with_agent: bool) -> Outcome<u64> {
    let mut java = Command::new(jdk.java());
    java.args(agent(bench, with_agent)).args(["-Xmx256m", collector.flag(), "-jar"]).arg(HTTP.jar()?).arg("0");
    let before = children_cpu()?;
    Program::start(bench, "the HTTP service", &mut java)?.process.kill()?;
    Ok(children_cpu()? - before)
}

/// A program that does its work and ends.
fn fixed_load_cpu(bench: &Bench, jdk: &Jdk, collector: Collector, with_agent: bool) -> Outcome<u64> {
    let mut java = program::java(jdk, collector, "-Xmx256m")?;
    java.args(agent(bench, with_agent)).arg("dev.hotfork.bench.FixedLoad");
    let before = children_cpu()?;
    Process::spawn("FixedLoad", &mut java, &bench.work.join("fixed-load.log"))?.must_succeed()?;
    Ok(children_cpu()? - before)
}

fn agent(bench: &Bench, with_agent: bool) -> Option<OsString> {
    with_agent.then(|| {
        let mut option = OsString::from("-agentpath:");
        option.push(&bench.product.agent);
        option
    })
}

/// Of all children that ended; here one at a time does.
fn children_cpu() -> Outcome<u64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).during("read the CPU time of ended children")?;
    Ok((usage.user_time() + usage.system_time()).num_nanoseconds() as u64)
}
