//! How long a capture stops a thread that spins on System.nanoTime, under load.

use super::program::{self, Program};
use crate::bench::Bench;
use crate::failure::{During, Failure, Outcome};
use crate::jdk::{Collector, Jdk};
use crate::proc;
use crate::product::Saved;
use serde::Serialize;
use std::io::Write;
use std::process::{ChildStdin, Stdio};
use std::time::{Duration, Instant};

const LIVE_MEGABYTES: &str = "160";

#[derive(Serialize)]
pub struct Gaps {
    pub jdk: String,
    pub collector: &'static str,
    /// Bytes before the first capture.
    pub resident: u64,
    pub descriptors: usize,
    pub captures: Vec<Gap>,
}

#[derive(Serialize)]
pub struct Gap {
    /// The longest gap, in nanoseconds, while the image was taken and saved.
    pub longest: u64,
    /// The longest gap in as long a time just before, without a capture: what the machine does by itself.
    pub without_capture: u64,
    pub saved: Saved,
}

pub fn measure(bench: &mut Bench, jdk: &Jdk) -> Outcome<Gaps> {
    let collector = Collector::G1;
    bench.progress.step(&format!("the gap of a capture under load, JDK {}, {}", jdk.major, collector.name()));
    let mut java = program::java(jdk, collector, "-Xmx256m")?;
    java.args(["-Xmn24m", "dev.hotfork.bench.GapProbe", LIVE_MEGABYTES]).stdin(Stdio::piped());
    let mut probe = Program::start(bench, "GapProbe", &mut java)?;
    let mut commands = probe.process.stdin()?;
    let pid = probe.process.pid();
    let image = bench.work.join("gap.image");
    let (resident, descriptors) = (proc::resident(pid)?, descriptors(pid)?);
    // The first capture loads the agent, and tells how long the others will take.
    let begun = Instant::now();
    bench.product.snapshot(pid, &image).map_err(|failure| probe.process.failure(&failure.0))?;
    let mut window = begun.elapsed();
    let mut captures = Vec::new();
    for number in 1..=bench.plan.captures {
        bench.progress.show(&format!("capture {number} of {}", bench.plan.captures));
        longest_gap(&mut probe, &mut commands)?;
        std::thread::sleep(window.max(Duration::from_millis(100)));
        let without_capture = longest_gap(&mut probe, &mut commands)?;
        let begun = Instant::now();
        let saved = bench.product.snapshot(pid, &image).map_err(|failure| probe.process.failure(&failure.0))?;
        window = begun.elapsed();
        captures.push(Gap { longest: longest_gap(&mut probe, &mut commands)?, without_capture, saved });
    }
    bench.progress.clear();
    probe.process.kill()?;
    std::fs::remove_file(&image).during(format!("remove {}", image.display()))?;
    Ok(Gaps { jdk: jdk.version.clone(), collector: collector.name(), resident, descriptors, captures })
}

/// Since it was last asked for.
fn longest_gap(probe: &mut Program, commands: &mut ChildStdin) -> Outcome<u64> {
    commands.write_all(b"gap\n").during("ask GapProbe for its gap")?;
    let line = probe.line()?;
    line.parse().map_err(|_| Failure(format!("GapProbe said {line:?}, not a number of nanoseconds")))
}

fn descriptors(pid: u32) -> Outcome<usize> {
    let path = format!("/proc/{pid}/fd");
    Ok(std::fs::read_dir(&path).during(format!("list {path}"))?.count())
}
