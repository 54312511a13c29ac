//! `hotfork-bench bench`: all measurements in their order.

use crate::failure::{During, Outcome};
use crate::jdk::{self, Collector, Jdk};
use crate::machine::Machine;
use crate::measure::criu::Criu;
use crate::measure::{aot, detector, gap, idle, live, startup};
use crate::ports::Ports;
use crate::product::Product;
use crate::progress::Progress;
use crate::report::Report;
use crate::sample::{HTTP, SPRING, Sample};
use crate::service::Setting;
use crate::{figures, plots, report};
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Measure only this; may be repeated [default: all]
    #[arg(long, value_name = "PART")]
    only: Vec<Part>,
    /// Start only this sample, http-service or spring-service, and watch the detector with it alone; may be repeated [default: both]
    #[arg(long, value_name = "NAME", value_parser = [HTTP.name, SPRING.name])]
    sample: Vec<String>,
    /// Rounds of all ways to start [default: 10, with --quick 3]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// A major version or the home of a JDK; may be repeated [default: each of 17, 21, 25 that is found]
    #[arg(long, value_name = "JDK")]
    jdk: Vec<String>,
    /// The newest JDK, G1 and few repetitions only: shows that all is well, proves no figure
    #[arg(long)]
    quick: bool,
    /// Runs of the detector with each of its subjects; they take turns over the JDKs [default: 10, with --quick 1]
    #[arg(long, value_name = "RUNS")]
    detector_runs: Option<u32>,
    /// What makes the agent take its image while the detector is measured, as in its option when=
    #[arg(long, value_name = "MOMENT", default_value = "warm")]
    detector_when: String,
    /// Where every single round is written
    #[arg(long, value_name = "FILE", default_value = "target/bench.json")]
    json: PathBuf,
    /// Write the tables into this file, between its two `tables` comments, and the plots beside it
    #[arg(long, value_name = "FILE")]
    docs: Option<PathBuf>,
    /// An empty directory for images and logs
    #[arg(long, value_name = "DIRECTORY", hide = true)]
    work: PathBuf,
}

/// What can be measured by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Normal start, AOT cache, restore, CRIU; requests, memory, image
    Startup,
    /// The longest gap of a spinning thread
    Gap,
    /// Restores with little and with much on the heap
    Live,
    /// The CPU of an agent that is asked for nothing
    Idle,
    /// The detector's verdict against the begin of steady latency
    Detector,
}

/// How often each thing is measured.
pub struct Plan {
    pub rounds: usize,
    pub collectors: &'static [Collector],
    pub warm_up: Duration,
    pub instances: usize,
    pub prefetch_pairs: usize,
    pub captures: usize,
    pub live_rounds: usize,
    pub pairs: usize,
    pub runs_of_pair: usize,
    pub detector_runs: usize,
    pub detector_when: String,
}

impl Plan {
    fn new(args: &BenchArgs) -> Self {
        let detector_when = args.detector_when.clone();
        let plan = if args.quick {
            Self {
                rounds: 3,
                collectors: &[Collector::G1],
                warm_up: Duration::from_secs(8),
                instances: 8,
                prefetch_pairs: 3,
                captures: 5,
                live_rounds: 3,
                pairs: 5,
                runs_of_pair: 1,
                detector_runs: 1,
                detector_when,
            }
        } else {
            Self {
                rounds: 10,
                collectors: &[Collector::G1, Collector::Serial],
                warm_up: Duration::from_secs(15),
                instances: 8,
                prefetch_pairs: 20,
                captures: 20,
                live_rounds: 10,
                pairs: 12,
                runs_of_pair: 8,
                detector_runs: 10,
                detector_when,
            }
        };
        Self {
            rounds: args.rounds.map_or(plan.rounds, |rounds| rounds as usize),
            detector_runs: args.detector_runs.map_or(plan.detector_runs, |runs| runs as usize),
            ..plan
        }
    }
}

/// What every measurement needs.
pub struct Bench {
    pub product: Product,
    pub criu: Criu,
    pub plan: Plan,
    pub work: PathBuf,
    pub ports: Ports,
    pub progress: Progress,
}

pub fn run(args: &BenchArgs) -> Outcome<()> {
    let mut jdks = jdk::find(&args.jdk)?;
    if args.quick && args.jdk.is_empty() {
        jdks.drain(..jdks.len() - 1);
    }
    for major in jdk::MAJORS {
        if args.jdk.is_empty() && !args.quick && !jdks.iter().any(|jdk| jdk.major == major) {
            eprintln!("JDK {major} is not here and is left out: ./x.d/jdks {major} fetches it");
        }
    }
    let work = args.work.canonicalize().during(format!("find {}", args.work.display()))?;
    let mut bench = Bench {
        product: Product::find()?,
        criu: Criu::look(),
        plan: Plan::new(args),
        work,
        ports: Ports::new(),
        progress: Progress::new(),
    };
    let mut report = Report::new(Machine::look()?, args.quick, bench.criu.line());
    for jdk in &jdks {
        one_jdk(&mut bench, jdk, args, &mut report)?;
    }
    if args.measures(Part::Detector) {
        report.detector = Some(detector::measure(&mut bench, &jdks, |sample| args.wants(sample))?);
    }
    bench.progress.clear();
    report.figures = figures::of(&report);
    let tables = report.tables();
    print!("{tables}");
    report.write_json(&args.json)?;
    eprintln!("every round: {}", args.json.display());
    match &args.docs {
        Some(docs) => {
            let json = report.json()?;
            report::write_docs(docs, &(plots::links(&json) + &tables))?;
            plots::draw(&json, docs.parent().unwrap_or(Path::new(".")))
        }
        None => Ok(()),
    }
}

impl BenchArgs {
    fn measures(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }

    fn samples(&self) -> impl Iterator<Item = &'static Sample> {
        [&HTTP, &SPRING].into_iter().filter(|sample| self.wants(sample))
    }

    /// Also under another load, which its name tells behind the sample's.
    fn wants(&self, sample: &Sample) -> bool {
        self.sample.is_empty() || self.sample.iter().any(|name| sample.name.starts_with(name.as_str()))
    }
}

fn one_jdk(bench: &mut Bench, jdk: &Jdk, args: &BenchArgs, report: &mut Report) -> Outcome<()> {
    if args.measures(Part::Startup) {
        for sample in args.samples() {
            let aot = aot::train(bench, jdk, sample)?;
            for &collector in bench.plan.collectors {
                let setting = Setting { jdk, sample, collector };
                report.startups.push(startup::measure(bench, &setting, aot.as_ref())?);
            }
        }
    }
    if args.measures(Part::Gap) {
        report.gaps.push(gap::measure(bench, jdk)?);
    }
    if args.measures(Part::Live) {
        report.live_objects.push(live::measure(bench, jdk)?);
    }
    if args.measures(Part::Idle) {
        report.idle_agents.push(idle::measure(bench, jdk)?);
    }
    Ok(())
}
