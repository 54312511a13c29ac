//! `hotfork-bench`: what `./x demo` and `./x bench` run.
#![deny(unsafe_code)]

mod apart;
mod bench;
mod clock;
mod demo;
mod failure;
mod figures;
mod first_response;
mod hsperf;
mod http;
mod jcmd;
mod jdk;
mod latency;
mod load;
mod machine;
mod measure;
mod page_cache;
mod pelt;
mod plots;
mod ports;
mod proc;
mod process;
mod product;
mod progress;
mod reference;
mod report;
mod sample;
mod service;
mod statistics;
mod table;
mod tables;
mod target;
mod times;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Measures a normal start of a Java service against a restore.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// A Spring service: normal start against restore, in one table
    Demo(demo::DemoArgs),
    /// The same comparison for both samples on every JDK, and the figures of the project
    Bench(bench::BenchArgs),
    /// Draw the plots of docs/benchmarks.md from the rounds that `bench --json` has kept
    Plot(plots::PlotArgs),
}

fn main() -> ExitCode {
    let result = match Cli::parse().verb {
        Verb::Demo(args) => demo::run(&args),
        Verb::Bench(args) => bench::run(&args),
        Verb::Plot(args) => plots::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("hotfork-bench: {failure}");
            ExitCode::FAILURE
        }
    }
}
