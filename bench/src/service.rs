//! A sample that is started, warmed and captured.

use crate::failure::{Outcome, fail};
use crate::first_response::FirstResponse;
use crate::http::Connection;
use crate::jdk::{Collector, Jdk};
use crate::load::{Connections, Load};
use crate::proc;
use crate::process::Process;
use crate::progress::Progress;
use crate::sample::Sample;
use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, Instant};

/// Clients of the load.
pub const CLIENTS: usize = 4;
const CONNECTIONS: Connections = Connections::OfRequests(40);
/// How long the compilers are watched to say how busy they are; also how often progress is shown.
const WINDOW: Duration = Duration::from_secs(1);
/// Compilers that use less than this part of a CPU are done with what matters.
const IDLE_SHARE: f64 = 0.02;
const SETTLED_WITHIN: Duration = Duration::from_secs(10);

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

    /// The same with further options of the JVM, and perhaps another jar of the same program.
    pub fn start_with(&self, what: &str, options: &[OsString], jar: &Path, port: u16, work: &Path) -> Outcome<Process> {
        let mut command = self.sample.command_with(self.jdk, self.collector, options, jar, port, work)?;
        Process::spawn(&format!("{} {what}", self.name()), &mut command, &work.join("other.log"))
    }
}

/// Drives the service for `time` at least, then on until its compilers have little left to do, for three
/// times as long at most. The load goes on, without orders, when this returns.
pub fn warm_up(
    sample: &'static Sample,
    process: &Process,
    port: u16,
    time: Duration,
    progress: &mut Progress,
) -> Outcome<Load> {
    let load = Load::start(sample, port, CLIENTS, CONNECTIONS);
    let begun = Instant::now();
    let mut compiled = compiler_cpu(process)?;
    let mut busy = true;
    while (begun.elapsed() < time || (busy && begun.elapsed() < time * 3)) && !load.failed() {
        std::thread::sleep(WINDOW);
        let before = std::mem::replace(&mut compiled, compiler_cpu(process)?);
        let share = compiled.saturating_sub(before) as f64 / WINDOW.as_nanos() as f64;
        busy = share > IDLE_SHARE;
        progress.show(&format!(
            "{} s, {} requests, {:.0} a second, {:.0} % of a CPU compiling",
            begun.elapsed().as_secs(),
            load.requests(),
            load.requests() as f64 / begun.elapsed().as_secs_f64(),
            share * 100.0
        ));
    }
    load.stop_orders();
    progress.clear();
    Ok(load)
}

/// Waits, without load, until nothing is compiled any more, or for ten seconds.
pub fn settle(process: &Process) -> Outcome<()> {
    let begun = Instant::now();
    let mut compiled = compiler_cpu(process)?;
    while begun.elapsed() < SETTLED_WITHIN {
        std::thread::sleep(WINDOW / 2);
        let before = std::mem::replace(&mut compiled, compiler_cpu(process)?);
        if compiled == before {
            break;
        }
    }
    Ok(())
}

/// What the JIT's threads have used so far; HotSpot ends those that it has no work for.
fn compiler_cpu(process: &Process) -> Outcome<u64> {
    let threads = proc::threads(process.pid()).map_err(|failure| process.failure(&failure.0))?;
    Ok(threads.iter().filter(|thread| thread.name.contains("CompilerThre")).map(|thread| thread.nanoseconds).sum())
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
    start: impl FnOnce() -> Outcome<Process>,
    port: u16,
    further: usize,
    body: Option<&[u8]>,
) -> Outcome<(Process, FirstResponse)> {
    let (process, first) = FirstResponse::of(start, port, sample.measured, further)?;
    if let Some(expected) = body {
        same_body(sample, &first.body, expected).map_err(|failure| process.failure(&failure.0))?;
    }
    Ok((process, first))
}
