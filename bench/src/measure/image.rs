//! A sample that is warmed, captured, measured alone, and looked into.

use super::expected::Expected;
use super::parts::{self, Parts};
use super::steady::{self, Steady};
use crate::bench::Bench;
use crate::failure::{During, Outcome, fail};
use crate::process::Process;
use crate::product::Saved;
use crate::service::{self, Setting};
use crate::{clock, hsperf};
use std::collections::VecDeque;
use std::fs::File;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How often compiled methods are counted while an image is on its way.
const COUNT_EVERY: Duration = Duration::from_millis(20);
/// A minute of counts: more than lies between a stop and its report.
const COUNTS_KEPT: usize = 3000;
const WARM_WITHIN: Duration = Duration::from_secs(600);

pub struct Image {
    pub path: PathBuf,
    pub port: u16,
    /// What a fresh service answers to the measured request.
    pub body: Vec<u8>,
    pub saved: Saved,
    pub steady: Steady,
    pub parts: Parts,
    /// Methods compiled when the stop began.
    pub compiles: u64,
}

/// A warmed service that nobody asks anything, and what it answered when it was fresh.
pub fn warm(
    bench: &mut Bench,
    setting: &Setting,
    start: impl FnOnce(u16) -> Outcome<Process>,
) -> Outcome<(Process, u16, Vec<u8>)> {
    let port = bench.ports.free()?;
    let (process, first) = service::first_response(setting.sample, || start(port), port, 0, None)?;
    let load = service::warm_up(setting.sample, &process, port, bench.plan.warm_up, &mut bench.progress)?;
    load.stop().map_err(|failure| process.failure(&failure.0))?;
    service::must_answer(setting.sample, port, &first.body)?;
    service::settle(&process)?;
    Ok((process, port, first.body))
}

/// As a user takes it: `hotfork run --load`, and nothing else. The JVM is measured after that, when its load has ended.
pub fn capture(bench: &mut Bench, setting: &Setting) -> Outcome<Image> {
    let (expected, port) = (Expected::at(bench.work.join("service.image")), bench.ports.free()?);
    // That of the setting before.
    expected.remove()?;
    let java = setting.sample.command(setting.jdk, setting.collector, port, &bench.work)?;
    let mut run = bench.product.run(&expected.path, &setting.sample.urls(port), &java);
    let start = || Process::spawn(&setting.name(), &mut run, &bench.work.join("captured.log"));
    let (mut original, first) = service::first_response(setting.sample, start, port, 0, None)?;
    let (saved, compiles) = await_image(bench, &mut original, &expected)?;
    let look = || -> Outcome<_> {
        service::settle(&original)?;
        let steady = steady::measure(setting.sample, port, &first.body)?;
        Ok((steady, parts::measure(setting.jdk, original.pid())?))
    };
    let (steady, parts) = look().map_err(|failure| original.failure(&failure.0))?;
    original.kill()?;
    Ok(Image { path: expected.path, port, body: first.body, saved, steady, parts, compiles })
}

/// Also the methods that had been compiled when the stop began, as far as they were counted just before.
fn await_image(bench: &mut Bench, original: &mut Process, expected: &Expected) -> Outcome<(Saved, u64)> {
    let (begun, mut counts) = (Instant::now(), VecDeque::new());
    let saved = loop {
        original.must_run()?;
        if let Some(saved) = expected.saved().map_err(|failure| original.failure(&failure.0))? {
            break saved;
        }
        if begun.elapsed() > WARM_WITHIN {
            return Err(original.failure(&format!("was not warm within {} s", WARM_WITHIN.as_secs())));
        }
        counts.push_front((clock::now(), hsperf::compiles(original.pid())?));
        counts.truncate(COUNTS_KEPT);
        std::thread::sleep(COUNT_EVERY);
        bench.progress.show(&format!("{} s", begun.elapsed().as_secs()));
    };
    bench.progress.clear();
    // Its pages are to be clean.
    let sync = File::open(&expected.path).and_then(|file| file.sync_all());
    sync.during(format!("sync {}", expected.path.display()))?;
    match counts.into_iter().find(|(at, _)| *at <= saved.stop_began_ns) {
        Some((_, compiles)) => Ok((saved, compiles)),
        None => fail("compiled methods were not counted before the stop"),
    }
}
