//! Exec to threads running, with little and with much on the Java heap.

use super::program::{self, Program};
use crate::bench::Bench;
use crate::failure::{During, Outcome};
use crate::jdk::{Collector, Jdk};
use crate::process::Process;
use crate::product::Saved;
use crate::times::Times;
use crate::{page_cache, proc};
use nix::sys::statvfs::statvfs;
use serde::Serialize;
use std::path::{Path, PathBuf};

const MEGABYTES: [u64; 2] = [100, 4096];
const THREADS: usize = 30;
const HEAP: &str = "-Xmx6g";
/// For the JVM with most, the page cache of its image, and what else runs.
const MEMORY: u64 = 12 << 30;
const DISK: u64 = 6 << 30;

#[derive(Serialize)]
pub struct LiveObjects {
    pub jdk: String,
    pub collector: &'static str,
    /// The smaller one first.
    pub heaps: Vec<Heap>,
    /// Why the largest is missing.
    pub left_out: Option<String>,
}

#[derive(Serialize)]
pub struct Heap {
    pub megabytes: u64,
    pub threads: usize,
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
    let left_out = too_little(bench)?;
    let sizes = if left_out.is_some() { &MEGABYTES[..1] } else { &MEGABYTES };
    bench.progress.step(&format!(
        "restores with {} MB of live objects, JDK {}, {}",
        sizes.iter().map(u64::to_string).collect::<Vec<_>>().join(" and "),
        jdk.major,
        collector.name()
    ));
    let mut heaps = Vec::new();
    for &megabytes in sizes {
        heaps.push(capture(bench, jdk, collector, megabytes)?);
    }
    for number in 1..=bench.plan.live_rounds {
        bench.progress.show(&format!("round {number} of {}", bench.plan.live_rounds));
        for heap in &mut heaps {
            heap.restores.push(restore(bench, &image(bench, heap.megabytes))?);
        }
    }
    bench.progress.clear();
    for &megabytes in sizes {
        let image = image(bench, megabytes);
        std::fs::remove_file(&image).during(format!("remove {}", image.display()))?;
    }
    Ok(LiveObjects { jdk: jdk.version.clone(), collector: collector.name(), heaps, left_out })
}

fn image(bench: &Bench, megabytes: u64) -> PathBuf {
    bench.work.join(format!("live-{megabytes}.image"))
}

/// What this machine lacks for the largest heap.
fn too_little(bench: &Bench) -> Outcome<Option<String>> {
    let memory = proc::available_memory()?;
    let statistics = statvfs(&bench.work).during(format!("ask for the room in {}", bench.work.display()))?;
    let disk = statistics.blocks_available() * statistics.fragment_size();
    let lacks = |what: &str, is: u64, wanted: u64| {
        format!("{} MB of {what} are free, {} are needed for 4 GB of live objects", is >> 20, wanted >> 20)
    };
    Ok(match (memory < MEMORY, disk < DISK) {
        (true, _) => Some(lacks("memory", memory, MEMORY)),
        (_, true) => Some(lacks("disk", disk, DISK)),
        _ => None,
    })
}

fn capture(bench: &mut Bench, jdk: &Jdk, collector: Collector, megabytes: u64) -> Outcome<Heap> {
    let mut java = program::java(jdk, collector, HEAP)?;
    java.args(["dev.hotfork.bench.LiveObjects", &megabytes.to_string(), &THREADS.to_string()]);
    let program = Program::start(bench, &format!("LiveObjects {megabytes}"), &mut java)?;
    let image = image(bench, megabytes);
    let threads = proc::threads(program.process.pid())?.len();
    let saved = bench
        .product
        .snapshot(program.process.pid(), &image, &[])
        .map_err(|failure| program.process.failure(&failure.0))?;
    program.process.kill()?;
    Ok(Heap { megabytes, threads, saved, restores: Vec::new() })
}

fn restore(bench: &Bench, image: &Path) -> Outcome<Restore> {
    page_cache::read([image])?;
    let times = bench.work.join("times.json");
    let mut command = bench.product.restore(image, &times, None)?;
    let mut instance = Process::spawn("restore of LiveObjects", &mut command, &bench.work.join("restore.log"))?;
    let restore = Restore { spawned: instance.spawned, times: Times::of(&mut instance, &times)? };
    instance.kill()?;
    std::fs::remove_file(&times).during(format!("remove {}", times.display()))?;
    Ok(restore)
}
