//! Normal start against restore, interleaved; then the memory of instances side by side.

use crate::bench::Bench;
use crate::failure::{During, Outcome};
use crate::first_response::{FURTHER_REQUESTS, FirstResponse};
use crate::page_cache;
use crate::proc;
use crate::process::Process;
use crate::product::Saved;
use crate::service::{self, Setting};
use crate::times::Times;
use serde::Serialize;
use std::path::PathBuf;

#[derive(Serialize)]
pub struct Startup {
    pub sample: &'static str,
    pub jdk: String,
    pub collector: &'static str,
    /// How often sooner the first response is to be.
    pub goal: f64,
    pub body_bytes: usize,
    pub saved: Saved,
    pub rounds: Vec<Round>,
    /// Private memory of each of several instances side by side, after the first request of all.
    pub side_by_side: Vec<u64>,
}

/// Nanoseconds.
#[derive(Serialize)]
pub struct Round {
    pub normal: FirstResponse,
    pub restore: FirstResponse,
    pub times: Times,
    pub spawned: u64,
}

impl Round {
    pub fn exec_to_running(&self) -> u64 {
        self.times.running - self.spawned
    }
}

struct Image {
    path: PathBuf,
    port: u16,
    body: Vec<u8>,
    saved: Saved,
}

pub fn measure(bench: &mut Bench, setting: &Setting) -> Outcome<Startup> {
    bench.progress.step(&format!("{}: warming up and capturing", setting.name()));
    let image = capture(bench, setting)?;
    bench.progress.step(&format!("{}: {} rounds of normal start and restore", setting.name(), bench.plan.rounds));
    let mut rounds = Vec::new();
    for number in 1..=bench.plan.rounds {
        bench.progress.show(&format!("round {number} of {}", bench.plan.rounds));
        rounds.push(round(bench, setting, &image)?);
    }
    let side_by_side = side_by_side(bench, setting, &image)?;
    bench.progress.clear();
    std::fs::remove_file(&image.path).during(format!("remove {}", image.path.display()))?;
    Ok(Startup {
        sample: setting.sample.name,
        jdk: setting.jdk.version.clone(),
        collector: setting.collector.name(),
        goal: setting.sample.goal,
        body_bytes: image.body.len(),
        saved: image.saved,
        rounds,
        side_by_side,
    })
}

fn capture(bench: &mut Bench, setting: &Setting) -> Outcome<Image> {
    let Bench { work, ports, progress, product, plan } = bench;
    let (port, path) = (ports.free()?, work.join("service.image"));
    let (original, first) = service::first_response(setting.sample, || setting.start(port, work), port, 0, None)?;
    let body = first.body;
    let load = service::warm_up(setting.sample, &original, port, plan.warm_up, progress)?;
    load.stop().map_err(|failure| original.failure(&failure.0))?;
    service::must_answer(setting.sample, port, &body)?;
    service::settle(&original)?;
    let saved = product.snapshot(original.pid(), &path).map_err(|failure| original.failure(&failure.0))?;
    original.kill()?;
    Ok(Image { path, port, body, saved })
}

fn round(bench: &Bench, setting: &Setting, image: &Image) -> Outcome<Round> {
    let jar = setting.sample.jar()?;
    let jdk = setting.jdk.files()?;
    // Before each of the two: a normal start takes so long that the kernel may drop what nobody reads meanwhile.
    let read_files = || {
        page_cache::read(
            jdk.iter().chain([&jar, &image.path, &bench.product.hotfork, &bench.product.agent]).map(PathBuf::as_path),
        )
    };
    let sample = setting.sample;

    let ask = |start: &dyn Fn() -> Outcome<Process>| {
        service::first_response(sample, start, image.port, FURTHER_REQUESTS, Some(&image.body))
    };
    read_files()?;
    let (process, normal) = ask(&|| setting.start(image.port, &bench.work))?;
    process.kill()?;

    let times = bench.work.join("times.json");
    read_files()?;
    let (mut process, restore) = ask(&|| restore(bench, setting, image, None))?;
    let (spawned, stages) = (process.spawned, Times::of(&mut process, &times)?);
    process.kill()?;
    std::fs::remove_file(&times).during(format!("remove {}", times.display()))?;
    Ok(Round { normal, restore, times: stages, spawned })
}

fn restore(bench: &Bench, setting: &Setting, image: &Image, port: Option<u16>) -> Outcome<Process> {
    let times = bench.work.join("times.json");
    let mut command = bench.product.restore(&image.path, &times, port.map(|port| (image.port, port)));
    Process::spawn(&format!("restore of {}", setting.name()), &mut command, &bench.work.join("restore.log"))
}

fn side_by_side(bench: &mut Bench, setting: &Setting, image: &Image) -> Outcome<Vec<u64>> {
    let mut instances = Vec::new();
    for number in 1..=bench.plan.instances {
        bench.progress.show(&format!("instance {number} of {} side by side", bench.plan.instances));
        let port = bench.ports.free()?;
        let start = || restore(bench, setting, image, Some(port));
        instances.push(service::first_response(setting.sample, start, port, 0, Some(&image.body))?.0);
    }
    let memory = instances.iter().map(|instance| proc::private_memory(instance.pid())).collect();
    for instance in instances {
        instance.kill()?;
    }
    let times = bench.work.join("times.json");
    std::fs::remove_file(&times).during(format!("remove {}", times.display()))?;
    memory
}
