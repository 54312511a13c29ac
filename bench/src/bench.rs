//! `hotfork-bench bench`: all measurements in their order.

use crate::failure::{During, Outcome};
use crate::jdk::{self, Collector, Jdk};
use crate::machine::Machine;
use crate::measure::{gap, idle, live, startup};
use crate::ports::Ports;
use crate::product::Product;
use crate::progress::Progress;
use crate::report::Report;
use crate::sample::{HTTP, SPRING};
use crate::service::Setting;
use crate::{figures, plots, report};
use clap::Args;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Rounds of normal start and restore [default: 10, with --quick 3]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// A major version or the home of a JDK; may be repeated [default: each of 17, 21, 25 that is found]
    #[arg(long, value_name = "JDK")]
    jdk: Vec<String>,
    /// The newest JDK, G1 and few repetitions only: shows that all is well, proves no figure
    #[arg(long)]
    quick: bool,
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

/// How often each thing is measured.
pub struct Plan {
    pub rounds: usize,
    pub collectors: &'static [Collector],
    pub warm_up: Duration,
    pub instances: usize,
    pub captures: usize,
    pub live_rounds: usize,
    pub pairs: usize,
    pub runs_of_pair: usize,
}

impl Plan {
    fn new(args: &BenchArgs) -> Self {
        let (rounds, plan) = if args.quick {
            let warm_up = Duration::from_secs(8);
            (
                3,
                Self {
                    rounds: 0,
                    collectors: &[Collector::G1],
                    warm_up,
                    instances: 8,
                    captures: 5,
                    live_rounds: 3,
                    pairs: 5,
                    runs_of_pair: 1,
                },
            )
        } else {
            let collectors = &[Collector::G1, Collector::Serial];
            let warm_up = Duration::from_secs(15);
            (
                10,
                Self {
                    rounds: 0,
                    collectors,
                    warm_up,
                    instances: 8,
                    captures: 20,
                    live_rounds: 10,
                    pairs: 30,
                    runs_of_pair: 8,
                },
            )
        };
        Self { rounds: args.rounds.unwrap_or(rounds) as usize, ..plan }
    }
}

/// What every measurement needs.
pub struct Bench {
    pub product: Product,
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
    let plan = Plan::new(args);
    let mut bench = Bench { product: Product::find()?, plan, work, ports: Ports::new(), progress: Progress::new() };
    let mut report = Report::new(Machine::look()?, args.quick);
    for jdk in &jdks {
        one_jdk(&mut bench, jdk, &mut report)?;
    }
    bench.progress.clear();
    report.figures = figures::of(&report);
    let tables = report.tables();
    print!("{tables}");
    report.write_json(&args.json)?;
    eprintln!("every round: {}", args.json.display());
    match &args.docs {
        Some(docs) => {
            report::write_docs(docs, &tables)?;
            plots::draw(&report.json()?, docs.parent().unwrap_or(Path::new(".")))
        }
        None => Ok(()),
    }
}

fn one_jdk(bench: &mut Bench, jdk: &Jdk, report: &mut Report) -> Outcome<()> {
    for sample in [&HTTP, &SPRING] {
        for &collector in bench.plan.collectors {
            report.startups.push(startup::measure(bench, &Setting { jdk, sample, collector })?);
        }
    }
    report.gaps.push(gap::measure(bench, jdk)?);
    report.live_objects.push(live::measure(bench, jdk)?);
    report.idle_agents.push(idle::measure(bench, jdk)?);
    Ok(())
}
