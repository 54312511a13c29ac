//! A sample that is warmed, measured alone, captured, and looked into.

use super::parts::{self, Parts};
use super::steady::{self, Steady};
use crate::bench::Bench;
use crate::failure::{Failure, Outcome, fail};
use crate::process::Process;
use crate::product::{Product, Saved};
use crate::sample::Sample;
use crate::service::{self, Setting};
use crate::{clock, hsperf};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How often compiled methods are counted while a capture is on its way.
const COUNT_EVERY: Duration = Duration::from_millis(10);

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

pub fn capture(bench: &mut Bench, setting: &Setting) -> Outcome<Image> {
    let (path, work) = (bench.work.join("service.image"), bench.work.clone());
    let (original, port, body) = warm(bench, setting, |port| setting.start(port, &work))?;
    let look = || -> Outcome<_> {
        let steady = steady::measure(setting.sample, port, &body)?;
        let (saved, compiles) = capture_counting(&bench.product, setting.sample, (original.pid(), port), &body, &path)?;
        Ok((steady, saved, compiles, parts::measure(setting.jdk, original.pid())?))
    };
    let (steady, saved, compiles, parts) = look().map_err(|failure| original.failure(&failure.0))?;
    original.kill()?;
    Ok(Image { path, port, body, saved, steady, parts, compiles })
}

/// As a user takes it: under a load, which the collection before it needs, and tried. (Each request has a connection of its own:
/// none stays open for the image.) Also the methods that had been compiled when the stop began, as far as they were counted
/// just before.
fn capture_counting(
    product: &Product,
    sample: &Sample,
    (pid, port): (u32, u16),
    body: &[u8],
    path: &Path,
) -> Outcome<(Saved, u64)> {
    let done = AtomicBool::new(false);
    let count = || {
        let mut counts = Vec::new();
        while !done.load(Ordering::Relaxed) {
            let compiles = hsperf::compiles(pid)?;
            counts.push((clock::now(), compiles));
            std::thread::sleep(COUNT_EVERY);
        }
        Ok(counts)
    };
    let ask = || -> Outcome<()> {
        while !done.load(Ordering::Relaxed) {
            steady::on_new_connection(sample, port, body)?;
        }
        Ok(())
    };
    let (saved, counts, asked) = std::thread::scope(|scope| {
        let (counter, asker) = (scope.spawn(count), scope.spawn(ask));
        let saved = product.snapshot(pid, path, &["--trial", &sample.url(port)]);
        done.store(true, Ordering::Relaxed);
        (saved, counter.join(), asker.join())
    });
    let panicked = |what: &str| Failure(format!("{what} panicked"));
    let saved = saved?;
    asked.map_err(|_| panicked("the load during the capture"))??;
    let counts = counts.map_err(|_| panicked("the counter of compiled methods"))??;
    match counts.iter().rev().find(|(at, _)| *at <= saved.stop_began_ns) {
        Some(&(_, compiles)) => Ok((saved, compiles)),
        None => fail("compiled methods were not counted before the stop"),
    }
}
