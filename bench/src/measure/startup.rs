//! All ways to start, interleaved; then the memory of instances side by side.

use super::aot::AotCache;
use super::criu::{self, Dump};
use super::image::{self, Image};
use super::parts::Parts;
use super::prefetch::{self, OtherFirst};
use super::steady::{self, Steady};
use crate::bench::Bench;
use crate::failure::{During, Outcome};
use crate::first_response::{FURTHER_REQUESTS, FirstResponse, TO_THE_HUNDREDTH};
use crate::process::Process;
use crate::product::Saved;
use crate::sample::Goals;
use crate::service::{self, Setting};
use crate::times::Times;
use crate::{hsperf, page_cache, proc};
use serde::Serialize;
use std::path::PathBuf;
use std::time::Duration;

/// What a running instance rests before its first request.
const REST: Duration = Duration::from_secs(1);

#[derive(Serialize)]
pub struct Startup {
    pub sample: &'static str,
    pub jdk: String,
    pub collector: &'static str,
    pub goals: Goals,
    pub body_bytes: usize,
    pub saved: Saved,
    pub steady: Steady,
    pub parts: Parts,
    pub rounds: Vec<Round>,
    /// Bytes on the disk of CRIU's dump.
    pub criu_dump: Option<u64>,
    /// Private memory of each of several instances side by side, after the first request of all.
    pub side_by_side: Vec<u64>,
    /// A first request of another kind than the trial's.
    pub other_first: Vec<OtherFirst>,
}

/// Nanoseconds.
#[derive(Serialize)]
pub struct Round {
    pub normal: FirstResponse,
    pub aot: Option<FirstResponse>,
    pub restore: FirstResponse,
    pub criu: Option<FirstResponse>,
    pub times: Times,
    pub spawned: u64,
    /// The first request to an instance that runs and has rested, on a new connection.
    pub rested: u64,
    pub compiles: Compiles,
}

/// Methods compiled from exec to request 100.
#[derive(Serialize)]
pub struct Compiles {
    pub normal: u64,
    pub restore: u64,
}

impl Round {
    pub fn exec_to_running(&self) -> u64 {
        self.times.running - self.spawned
    }
}

/// What is started turn by turn.
struct Ways<'a> {
    image: Image,
    aot: Option<&'a AotCache>,
    dump: Option<Dump>,
}

pub fn measure(bench: &mut Bench, setting: &Setting, aot: Option<&AotCache>) -> Outcome<Startup> {
    bench.progress.step(&format!("{}: warming up and capturing", setting.name()));
    let image = image::capture(bench, setting)?;
    let ways = Ways { image, aot, dump: criu::dump(bench, setting)? };
    bench.progress.step(&format!("{}: {} rounds of all ways to start", setting.name(), bench.plan.rounds));
    let mut rounds = Vec::new();
    for number in 1..=bench.plan.rounds {
        bench.progress.show(&format!("round {number} of {}", bench.plan.rounds));
        rounds.push(round(bench, setting, &ways)?);
    }
    let Ways { image, dump, .. } = ways;
    let side_by_side = side_by_side(bench, setting, &image)?;
    let other_first = prefetch::measure(bench, setting, &image)?;
    bench.progress.clear();
    std::fs::remove_file(&image.path).during(format!("remove {}", image.path.display()))?;
    let criu_dump = dump.as_ref().map(Dump::size).transpose()?;
    dump.map_or(Ok(()), Dump::remove)?;
    Ok(Startup {
        sample: setting.sample.name,
        jdk: setting.jdk.version.clone(),
        collector: setting.collector.name(),
        goals: setting.sample.goals,
        body_bytes: image.body.len(),
        saved: image.saved,
        steady: image.steady,
        parts: image.parts,
        rounds,
        criu_dump,
        side_by_side,
        other_first,
    })
}

fn round(bench: &Bench, setting: &Setting, ways: &Ways) -> Outcome<Round> {
    let (image, sample) = (&ways.image, setting.sample);
    let mut files = setting.jdk.files()?;
    files.extend([sample.jar()?, image.path.clone(), bench.product.hotfork.clone(), bench.product.agent.clone()]);
    files.extend(ways.aot.map_or(Ok(Vec::new()), AotCache::files)?);
    files.extend(ways.dump.as_ref().map_or(Ok(Vec::new()), Dump::files)?);
    // Before each start: one takes so long that the kernel may drop what nobody reads meanwhile.
    let read_files = || page_cache::read_anew(files.iter().map(PathBuf::as_path));
    let ask = |start: &dyn Fn() -> Outcome<Process>, further| {
        read_files()?;
        service::first_response(sample, start, image.port, further, Some(&image.body))
    };

    let (process, normal) = ask(&|| setting.start(image.port, &bench.work), TO_THE_HUNDREDTH)?;
    let normal_compiles = hsperf::compiles(process.pid())?;
    process.kill()?;

    let mut with_aot = None;
    if let Some(cache) = ways.aot {
        let (process, first) = ask(&|| cache.start(setting, image.port, &bench.work), FURTHER_REQUESTS)?;
        process.kill()?;
        with_aot = Some(first);
    }

    let (mut process, restore) = ask(&|| start_instance(bench, setting, image, None), TO_THE_HUNDREDTH)?;
    let compiles = hsperf::compiles(process.pid())?;
    let (spawned, times) = (process.spawned, times(bench, &mut process)?);
    process.kill()?;

    let mut criu = None;
    if let Some(dump) = &ways.dump {
        read_files()?;
        criu = Some(dump.restore(bench, setting)?);
    }

    read_files()?;
    let rested = rested(bench, setting, image)?;
    // An instance goes on counting where the captured JVM was.
    let compiles = Compiles { normal: normal_compiles, restore: compiles.saturating_sub(image.compiles) };
    Ok(Round { normal, aot: with_aot, restore, criu, times, spawned, rested, compiles })
}

fn start_instance(bench: &Bench, setting: &Setting, image: &Image, port: Option<u16>) -> Outcome<Process> {
    start_with(bench, setting, image, port, &[])
}

/// With further options of `hotfork restore`.
pub fn start_with(
    bench: &Bench,
    setting: &Setting,
    image: &Image,
    port: Option<u16>,
    options: &[&str],
) -> Outcome<Process> {
    let times = bench.work.join("times.json");
    let mut command = bench.product.restore(&image.path, &times, port.map(|port| (image.port, port)))?;
    command.args(options);
    Process::spawn(&format!("restore of {}", setting.name()), &mut command, &bench.work.join("restore.log"))
}

/// Those of the one instance that has been started since the last call; its threads run when this returns.
pub fn times(bench: &Bench, process: &mut Process) -> Outcome<Times> {
    let path = bench.work.join("times.json");
    let times = Times::of(process, &path)?;
    std::fs::remove_file(&path).during(format!("remove {}", path.display()))?;
    Ok(times)
}

fn rested(bench: &Bench, setting: &Setting, image: &Image) -> Outcome<u64> {
    let mut process = start_instance(bench, setting, image, None)?;
    times(bench, &mut process)?;
    std::thread::sleep(REST);
    let first = steady::on_new_connection(setting.sample, image.port, &image.body);
    let first = first.map_err(|failure| process.failure(&failure.0))?;
    process.kill()?;
    Ok(first)
}

fn side_by_side(bench: &mut Bench, setting: &Setting, image: &Image) -> Outcome<Vec<u64>> {
    let mut instances = Vec::new();
    for number in 1..=bench.plan.instances {
        bench.progress.show(&format!("instance {number} of {} side by side", bench.plan.instances));
        let port = bench.ports.free()?;
        let start = || start_instance(bench, setting, image, Some(port));
        let (mut instance, _) = service::first_response(setting.sample, start, port, 0, Some(&image.body))?;
        times(bench, &mut instance)?;
        instances.push(instance);
    }
    let memory = instances.iter().map(|instance| proc::private_memory(instance.pid())).collect();
    for instance in instances {
        instance.kill()?;
    }
    memory
}
