//! A sample that is started, warmed and captured.

use crate::failure::{Outcome, fail};
use crate::first_response::FirstResponse;
use crate::http::Connection;
use crate::jdk::{Collector, Jdk};
use crate::load::Load;
use crate::process::Process;
use crate::progress::Progress;
use crate::sample::Sample;
use std::path::Path;
use std::time::{Duration, Instant};

/// Clients of the load.
const CLIENTS: usize = 4;
const PROGRESS_EVERY: Duration = Duration::from_millis(500);

#[derive(Clone, Copy)]
pub struct Setting<'a> {
    pub jdk: &'a Jdk,
    pub sample: &'static Sample,
    pub collector: Collector,
}

impl Setting<'_> {
    pub fn name(&self) -> String {
        format!("{}, JDK {}, {}", self.sample.name, self.jdk.major, self.collector.name())
    }

    /// The normal start.
    pub fn start(&self, port: u16, work: &Path) -> Outcome<Process> {
        let mut command = self.sample.command(self.jdk, self.collector, port, work)?;
        Process::spawn(&self.name(), &mut command, &work.join("normal.log"))
    }
}

/// Drives the service for a while. The load goes on, without orders, when this returns.
pub fn warm_up(sample: &'static Sample, port: u16, time: Duration, progress: &mut Progress) -> Outcome<Load> {
    let load = Load::start(sample, port, CLIENTS);
    let begun = Instant::now();
    while begun.elapsed() < time && !load.failed() {
        std::thread::sleep(PROGRESS_EVERY.min(time.saturating_sub(begun.elapsed())));
        let rate = load.requests() as f64 / begun.elapsed().as_secs_f64();
        progress.show(&format!(
            "{} of {} s, {} requests, {rate:.0} a second",
            begun.elapsed().as_secs(),
            time.as_secs(),
            load.requests()
        ));
    }
    load.stop_orders();
    progress.clear();
    Ok(load)
}

/// The answer to the measured request must be what a fresh service gave.
pub fn must_answer(sample: &Sample, port: u16, body: &[u8]) -> Outcome<()> {
    let what = format!("GET {}", sample.measured);
    let response = Connection::open(port)?.get(sample.measured)?.must_be(200, &what)?;
    same_body(sample, &response.body, body)
}

pub fn same_body(sample: &Sample, body: &[u8], expected: &[u8]) -> Outcome<()> {
    if body == expected {
        return Ok(());
    }
    let same = body.iter().zip(expected).take_while(|(one, other)| one == other).count();
    fail(format!(
        "GET {} has {} bytes, a normal start's {}; they differ from byte {same} on",
        sample.measured,
        body.len(),
        expected.len()
    ))
}

/// As `FirstResponse::of`, with the body compared.
pub fn first_response(
    sample: &Sample,
    process: &mut Process,
    port: u16,
    further: usize,
    body: Option<&[u8]>,
) -> Outcome<FirstResponse> {
    let first = FirstResponse::of(process, port, sample.measured, further)?;
    if let Some(expected) = body {
        same_body(sample, &first.body, expected).map_err(|failure| process.failure(&failure.0))?;
    }
    Ok(first)
}
