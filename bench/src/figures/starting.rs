//! Of each setting: its first response, its requests, its memory and its image.

use super::{Figure, RUNNING_NS, over, verdict, within};
use crate::measure::startup::Startup;
use crate::statistics::{Summary, ratio, summary};
use crate::table::{megabytes, milliseconds};

const LATER_REQUESTS_RATIO: f64 = 1.3;
const COMPILES_PART: f64 = 0.05;
/// "Not slower", as far as pairs can tell.
const PREFETCH_RATIO: f64 = 1.05;
const IMAGE_BEYOND_PARTS: u64 = 40 << 20;

fn figure(startup: &Startup, what: impl Into<String>, measured: String, goal: String, reached: bool) -> Figure {
    let setting = format!("{}, JDK {}, {}", startup.sample, startup.jdk, startup.collector);
    Figure { what: what.into(), setting, measured, goal, verdict: verdict(reached) }
}

pub fn than_normal(startup: &Startup) -> Option<Figure> {
    let normal = over(&startup.rounds, |round| round.normal.since_exec)?.median;
    sooner(startup, "a normal start", normal, startup.goals.than_normal)
}

pub fn than_aot(startup: &Startup) -> Option<Figure> {
    let aot = startup.rounds.iter().map(|round| Some(round.aot.as_ref()?.since_exec as f64));
    let aot = summary(aot.collect::<Option<Vec<f64>>>()?)?.median;
    sooner(startup, "a start with an AOT cache", aot, startup.goals.than_aot)
}

fn sooner(startup: &Startup, than: &str, other: f64, goal: f64) -> Option<Figure> {
    let restore = over(&startup.rounds, |round| round.restore.since_exec)?.median;
    let times = other / restore;
    let measured = format!("{times:.0} x ({} : {} ms)", milliseconds(other), milliseconds(restore));
    Some(figure(
        startup,
        format!("first response, sooner than {than}"),
        measured,
        format!("at least {goal} x"),
        times >= goal,
    ))
}

pub fn first_request(startup: &Startup) -> Option<Figure> {
    let steady = over(&startup.steady.new_connection, |&nanoseconds| nanoseconds)?.median;
    let rested = over(&startup.rounds, |round| round.rested)?.median;
    let beyond = startup.goals.beyond_steady;
    Some(figure(
        startup,
        "first request to a running instance",
        format!("{} ms, steady {} ms", milliseconds(rested), milliseconds(steady)),
        format!("at most steady + {beyond} ms"),
        rested <= steady + beyond * 1e6,
    ))
}

/// Of all rounds.
pub fn later_requests(startup: &Startup) -> Option<Summary> {
    summary(startup.rounds.iter().flat_map(|round| round.restore.second_to_twentieth()).map(|&ns| ns as f64))
}

pub fn requests_2_to_20(startup: &Startup) -> Option<Figure> {
    let steady = over(&startup.steady.kept_alive, |&nanoseconds| nanoseconds)?.median;
    let later = later_requests(startup)?.median;
    let times = later / steady;
    Some(figure(
        startup,
        "requests 2 to 20 against steady ones",
        format!("{times:.2} x ({} : {} ms)", milliseconds(later), milliseconds(steady)),
        format!("at most {LATER_REQUESTS_RATIO} x"),
        times <= LATER_REQUESTS_RATIO,
    ))
}

pub fn compiles(startup: &Startup) -> Option<Figure> {
    let normal = over(&startup.rounds, |round| round.compiles.normal)?.median;
    let restore = over(&startup.rounds, |round| round.compiles.restore)?.median;
    Some(figure(
        startup,
        "methods compiled to request 100, of a normal start's",
        format!("{:.1} % ({restore:.0} of {normal:.0})", restore / normal * 100.0),
        format!("at most {:.0} %", COMPILES_PART * 100.0),
        restore <= COMPILES_PART * normal,
    ))
}

/// The last of those side by side.
pub fn private_memory(startup: &Startup) -> Option<Figure> {
    let normal = over(&startup.rounds, |round| round.normal.private_memory)?.median;
    let last = *startup.side_by_side.last()? as f64;
    let part = startup.goals.memory_part;
    Some(figure(
        startup,
        format!("private memory of instance {}", startup.side_by_side.len()),
        format!("1/{:.1} ({} of {} MB)", normal / last, megabytes(last), megabytes(normal)),
        format!("at most 1/{part}"),
        last * part <= normal,
    ))
}

pub fn image_size(startup: &Startup) -> Option<Figure> {
    let goal = startup.parts.sum() + IMAGE_BEYOND_PARTS;
    Some(figure(
        startup,
        "image, against live heap, metaspace and code",
        format!("{} MB, those {}", megabytes(startup.saved.size as f64), megabytes(startup.parts.sum() as f64)),
        format!("at most those + {} MB", IMAGE_BEYOND_PARTS >> 20),
        startup.saved.size <= goal,
    ))
}

/// Brought in ahead for one kind of request, in the way of another's.
pub fn other_first(startup: &Startup) -> Option<Figure> {
    let pairs: Vec<(f64, f64)> =
        startup.other_first.iter().map(|pair| (pair.with_prefetch as f64, pair.without as f64)).collect();
    let ratio = ratio(&pairs)?;
    let what = format!("another first request with prefetch against without, {} pairs", pairs.len());
    let measured = format!("{:.2} x (95 % interval {:.2} to {:.2})", ratio.mean, ratio.low, ratio.high);
    let goal = format!("at most {PREFETCH_RATIO} x");
    Some(Figure { verdict: within(ratio, PREFETCH_RATIO), ..figure(startup, what, measured, goal, false) })
}

pub fn exec_to_running(startup: &Startup) -> Option<Figure> {
    let running = over(&startup.rounds, |round| round.exec_to_running())?;
    Some(figure(
        startup,
        "exec to threads running",
        format!("{} ms", milliseconds(running.median)),
        format!("at most {} ms", RUNNING_NS / 1e6),
        running.median <= RUNNING_NS,
    ))
}
