//! The detector against the truth: when it took its image, and when latency had become steady.

use super::expected::Expected;
use crate::bench::Bench;
use crate::clock;
use crate::failure::Outcome;
use crate::jdk::{Collector, Jdk};
use crate::latency::{self, Window};
use crate::load::{Connections, Load};
use crate::process::Process;
use crate::sample::{CHANGING, HTTP, SPRING, Sample};
use crate::service::{self, CLIENTS, Setting};
use serde::Serialize;
use std::ffi::OsString;
use std::time::{Duration, Instant};

const SUBJECTS: [&Sample; 3] = [&HTTP, &CHANGING, &SPRING];
const IDLE: [&Sample; 2] = [&HTTP, &SPRING];
/// Load goes on for so long at least, that an early verdict is told from a right one.
const LEAST: Duration = Duration::from_secs(25);
const LEAST_SPRING: Duration = Duration::from_secs(50);
/// ... and after the verdict for this part of the time before it.
const AFTERWARDS: f64 = 0.5;
/// ... and so long after the image is there.
const AT_REST: Duration = Duration::from_secs(12);
const NO_VERDICT: Duration = Duration::from_secs(240);
const LOOK: Duration = Duration::from_millis(200);
/// What is idle is watched for a minute.
const IDLE_FOR: Duration = Duration::from_secs(60);
/// Of the time from the begin of the load to steady latency.
pub const EARLIEST: f64 = -0.10;
pub const LATEST: f64 = 0.25;

#[derive(Serialize)]
pub struct Detector {
    /// The agent's option.
    pub when: String,
    pub runs: Vec<Run>,
    pub idle: Vec<Idle>,
}

/// All moments are CLOCK_MONOTONIC.
#[derive(Serialize)]
pub struct Run {
    pub subject: &'static str,
    pub jdk: String,
    pub load_began: u64,
    pub windows: Vec<Window>,
    /// None: not within four minutes.
    pub verdict: Option<u64>,
    /// None: latency was never steady.
    pub steady: Option<u64>,
    /// The same, where the machine is taken to have been equally fast all the time.
    pub steady_as_it_is: Option<u64>,
}

#[derive(Serialize)]
pub struct Idle {
    pub subject: &'static str,
    pub jdk: String,
    pub seconds: u64,
    pub verdict: bool,
}

impl Run {
    /// How much later than the truth, as a part of the time from the begin of the load to the truth.
    pub fn off(&self) -> Option<f64> {
        let since_load = |moment: u64| moment.saturating_sub(self.load_began) as f64;
        let (verdict, steady) = (since_load(self.verdict?), since_load(self.steady?));
        // Steady from the first window on.
        Some((verdict - steady) / steady.max(latency::WINDOW as f64))
    }

    pub fn within(&self) -> bool {
        self.off().is_some_and(|off| (EARLIEST..=LATEST).contains(&off))
    }
}

/// Subjects take turns, and so do the JDKs.
pub fn measure(bench: &mut Bench, jdks: &[Jdk], wanted: impl Fn(&Sample) -> bool) -> Outcome<Detector> {
    let when = bench.plan.detector_when.clone();
    let (mut runs, mut idle) = (Vec::new(), Vec::new());
    for (number, jdk) in (1..=bench.plan.detector_runs).zip(jdks.iter().cycle()) {
        for sample in SUBJECTS.into_iter().filter(|sample| wanted(sample)) {
            let setting = Setting { jdk, sample, collector: Collector::G1 };
            bench.progress.step(&format!("{}: run {number} with when={when}", setting.name()));
            runs.push(run(bench, &setting, &when)?);
        }
    }
    for (sample, jdk) in IDLE.into_iter().zip(jdks.iter().rev().cycle()).filter(|(sample, _)| wanted(sample)) {
        let setting = Setting { jdk, sample, collector: Collector::G1 };
        bench.progress.step(&format!("{}: idle with when={when}", setting.name()));
        idle.push(idle_run(bench, &setting, &when)?);
    }
    Ok(Detector { when, runs, idle })
}

fn run(bench: &mut Bench, setting: &Setting, when: &str) -> Outcome<Run> {
    let image = Expected::at(bench.work.join("detector.image"));
    let (mut process, port) = start(bench, setting, when, &image)?;
    let load_began = clock::now();
    let (load, begun) = (Load::start(setting.sample, port, CLIENTS, Connections::Last), Instant::now());
    let least = if setting.sample.name == SPRING.name { LEAST_SPRING } else { LEAST };
    let mut saved = None;
    let mut until = NO_VERDICT;
    while begun.elapsed() < until && !load.failed() {
        std::thread::sleep(LOOK);
        process.must_run()?;
        if saved.is_none() {
            saved = image.saved().map_err(|failure| process.failure(&failure.0))?;
            if let Some(saved) = &saved {
                let verdict = Duration::from_nanos(saved.decided_ns().saturating_sub(load_began));
                until = least.max(verdict.mul_f64(1.0 + AFTERWARDS)).max(begun.elapsed() + AT_REST);
            }
        }
        let seconds = begun.elapsed().as_secs();
        bench.progress.show(&format!("{seconds} s, {} requests", load.requests()));
    }
    bench.progress.clear();
    let mut answers = load.stop().map_err(|failure| process.failure(&failure.0))?;
    process.kill()?;
    image.remove()?;
    let windows = latency::windows(&mut answers, load_began);
    // Not the rest before it: the service answers as ever, and that may be its first steady seconds.
    let capture =
        saved.as_ref().map(|saved| saved.stop_began_ns..saved.stop_began_ns + saved.stopped_ns + saved.saving_ns);
    let load_is_so = load_began + setting.sample.load_changes_after().as_nanos() as u64;
    let steady = latency::steady_since(&windows, Window::relative, load_is_so, capture.clone());
    let steady_as_it_is = latency::steady_since(&windows, Window::as_it_is, load_is_so, capture);
    let (subject, jdk) = (setting.sample.name, setting.jdk.version.clone());
    let verdict = saved.map(|saved| saved.decided_ns());
    Ok(Run { subject, jdk, load_began, windows, verdict, steady, steady_as_it_is })
}

fn idle_run(bench: &mut Bench, setting: &Setting, when: &str) -> Outcome<Idle> {
    let image = Expected::at(bench.work.join("detector.image"));
    let (mut process, _) = start(bench, setting, when, &image)?;
    std::thread::sleep(IDLE_FOR);
    process.must_run()?;
    let verdict = image.saved()?.is_some();
    process.kill()?;
    image.remove()?;
    let (subject, jdk) = (setting.sample.name, setting.jdk.version.clone());
    Ok(Idle { subject, jdk, seconds: IDLE_FOR.as_secs(), verdict })
}

/// With the agent, until it has answered one request.
fn start(bench: &mut Bench, setting: &Setting, when: &str, image: &Expected) -> Outcome<(Process, u16)> {
    let port = bench.ports.free()?;
    let mut option = OsString::from("-agentpath:");
    option.push(&bench.product.agent);
    // A slow stop is to be told, not given up.
    option.push(format!("=image={},when={when},max-stop=2s", image.path.display().to_string().replace(',', "\\,")));
    let jar = setting.sample.jar()?;
    let start = || setting.start_with("under the detector", &[option], &jar, port, &bench.work);
    Ok((service::first_response(setting.sample, start, port, 0, None)?.0, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(verdict: Option<u64>, steady: Option<u64>) -> Run {
        let seconds = |seconds: u64| 1_000_000_000 * (100 + seconds);
        let (verdict, steady) = (verdict.map(seconds), steady.map(seconds));
        let (subject, jdk, windows, steady_as_it_is) = ("shop", "21".into(), Vec::new(), None);
        Run { subject, jdk, load_began: seconds(0), windows, verdict, steady, steady_as_it_is }
    }

    #[test]
    fn a_verdict_is_judged_by_the_time_to_steadiness() {
        assert_eq!(run(Some(24), Some(20)).off(), Some(0.2));
        assert!(run(Some(24), Some(20)).within() && run(Some(19), Some(20)).within());
        assert!(!run(Some(26), Some(20)).within() && !run(Some(17), Some(20)).within());
        assert!(!run(None, Some(20)).within() && !run(Some(20), None).within());
        assert!(!run(Some(3), Some(0)).within());
    }
}
