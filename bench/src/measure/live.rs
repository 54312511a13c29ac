//! Exec to threads running, with little and with much on the Java heap.

use super::program::{self, Program};
use crate::bench::Bench;
use crate::failure::{During, Outcome};
use crate::jdk::{Collector, Jdk};
use crate::page_cache;
use crate::process::Process;
use crate::product::Saved;
use crate::times::Times;
use serde::Serialize;
use std::path::{Path, PathBuf};

const MEGABYTES: [u64; 2] = [100, 2048];

#[derive(Serialize)]
pub struct LiveObjects {
    pub jdk: String,
    pub collector: &'static str,
    /// The smaller one first.
    pub heaps: Vec<Heap>,
}

#[derive(Serialize)]
pub struct Heap {
    pub megabytes: u64,
    pub saved: Saved,
    pub restores: Vec<Restore>,
}

#[derive(Serialize)]
pub struct Restore {
    pub spawned: u64,
    pub times: Times,
}

impl Restore {
    pub fn exec_to_running(&self) -> u64 {
        self.times.running - self.spawned
    }
}

pub fn measure(bench: &mut Bench, jdk: &Jdk) -> Outcome<LiveObjects> {
    let collector = Collector::G1;
    bench.progress.step(&format!(
        "restores with 100 MB and 2 GB of live objects, JDK {}, {}",
        jdk.major,
        collector.name()
    ));
    let mut heaps = Vec::new();
    for megabytes in MEGABYTES {
        let saved = capture(bench, jdk, collector, megabytes)?;
        heaps.push(Heap { megabytes, saved, restores: Vec::new() });
    }
    for number in 1..=bench.plan.live_rounds {
        bench.progress.show(&format!("round {number} of {}", bench.plan.live_rounds));
        for heap in &mut heaps {
            heap.restores.push(restore(bench, &image(bench, heap.megabytes))?);
        }
    }
    bench.progress.clear();
    for megabytes in MEGABYTES {
        let image = image(bench, megabytes);
        std::fs::remove_file(&image).during(format!("remove {}", image.display()))?;
    }
    Ok(LiveObjects { jdk: jdk.version.clone(), collector: collector.name(), heaps })
}

fn image(bench: &Bench, megabytes: u64) -> PathBuf {
    bench.work.join(format!("live-{megabytes}.image"))
}

fn capture(bench: &mut Bench, jdk: &Jdk, collector: Collector, megabytes: u64) -> Outcome<Saved> {
    let mut java = program::java(jdk, collector, "-Xmx3g")?;
    java.args(["dev.hotfork.bench.LiveObjects", &megabytes.to_string()]);
    let program = Program::start(bench, &format!("LiveObjects {megabytes}"), &mut java)?;
    let image = image(bench, megabytes);
    let saved =
        bench.product.snapshot(program.process.pid(), &image).map_err(|failure| program.process.failure(&failure.0))?;
    program.process.kill()?;
    Ok(saved)
}

fn restore(bench: &Bench, image: &Path) -> Outcome<Restore> {
    page_cache::read([image])?;
    let times = bench.work.join("times.json");
    let mut command = bench.product.restore(image, &times, None);
    let mut instance = Process::spawn("restore of LiveObjects", &mut command, &bench.work.join("restore.log"))?;
    let restore = Restore { spawned: instance.spawned, times: Times::of(&mut instance, &times)? };
    instance.kill()?;
    std::fs::remove_file(&times).during(format!("remove {}", times.display()))?;
    Ok(restore)
}
