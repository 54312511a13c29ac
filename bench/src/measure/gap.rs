//! How long a capture stops a thread that spins on System.nanoTime, under load.

use super::program::{self, Program};
use crate::bench::Bench;
use crate::failure::{During, Failure, Outcome};
use crate::jdk::{Collector, Jdk};
use crate::proc;
use crate::product::Saved;
use serde::Serialize;
use std::io::Write;
use std::ops::Range;
use std::process::{ChildStdin, Stdio};
use std::time::{Duration, Instant};

/// The stop itself is looked at: no collection before it.
const NOW: &[&str] = &["--no-quiesce"];
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
    /// The longest gap, in nanoseconds, that lies at least partly between suspension and resumption.
    pub of_the_stop: u64,
    /// The longest from the order to capture until the image was synced.
    pub until_saved: u64,
    /// The longest in as long a time just before, without a capture: what the machine does by itself.
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
    bench.product.snapshot(pid, &image, NOW).map_err(|failure| probe.process.failure(&failure.0))?;
    let mut window = begun.elapsed();
    let mut captures = Vec::new();
    for number in 1..=bench.plan.captures {
        bench.progress.show(&format!("capture {number} of {}", bench.plan.captures));
        gaps_since(&mut probe, &mut commands)?;
        std::thread::sleep(window.max(Duration::from_millis(100)));
        let without_capture = longest(&gaps_since(&mut probe, &mut commands)?);
        let begun = Instant::now();
        let saved = bench.product.snapshot(pid, &image, NOW).map_err(|failure| probe.process.failure(&failure.0))?;
        window = begun.elapsed();
        let gaps = gaps_since(&mut probe, &mut commands)?;
        let of_the_stop = longest(&within(&gaps, saved.stop_began_ns..saved.stop_began_ns + saved.stopped_ns));
        captures.push(Gap { of_the_stop, until_saved: longest(&gaps), without_capture, saved });
    }
    bench.progress.clear();
    probe.process.kill()?;
    std::fs::remove_file(&image).during(format!("remove {}", image.display()))?;
    Ok(Gaps { jdk: jdk.version.clone(), collector: collector.name(), resident, descriptors, captures })
}

/// Between two readings of CLOCK_MONOTONIC.
type Interval = Range<u64>;

/// Since they were last asked for.
fn gaps_since(probe: &mut Program, commands: &mut ChildStdin) -> Outcome<Vec<Interval>> {
    commands.write_all(b"gaps\n").during("ask GapProbe for its gaps")?;
    let line = probe.line()?;
    parse(&line).ok_or_else(|| Failure(format!("GapProbe said {line:?}, not BEGIN+LENGTH ...")))
}

fn parse(line: &str) -> Option<Vec<Interval>> {
    let interval = |word: &str| {
        let (begin, length) = word.split_once('+')?;
        let begin = begin.parse().ok()?;
        Some(begin..begin + length.parse::<u64>().ok()?)
    };
    line.split_whitespace().map(interval).collect()
}

fn within(gaps: &[Interval], stop: Interval) -> Vec<Interval> {
    gaps.iter().filter(|gap| gap.start < stop.end && stop.start < gap.end).cloned().collect()
}

/// In nanoseconds.
fn longest(gaps: &[Interval]) -> u64 {
    gaps.iter().map(|gap| gap.end - gap.start).max().unwrap_or(0)
}

fn descriptors(pid: u32) -> Outcome<usize> {
    let path = format!("/proc/{pid}/fd");
    Ok(std::fs::read_dir(&path).during(format!("list {path}"))?.count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gap_of_the_stop_is_told_from_others() {
        let gaps = parse("100+50 200+10 300+70").unwrap();
        assert_eq!((longest(&gaps), longest(&within(&gaps, 205..220))), (70, 10));
        assert_eq!(longest(&within(&gaps, 160..190)), 0);
        assert_eq!(parse("").unwrap(), []);
        assert!(parse("12").is_none());
    }
}
