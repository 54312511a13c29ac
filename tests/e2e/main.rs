//! The end-to-end tests. Their list is made at run time, of the JDKs and the subjects that are found;
//! `./x test` builds what they need and runs them. `./x test NAME` runs those whose name holds NAME.
#![deny(unsafe_code)]

mod bad_images;
mod bad_surroundings;
mod cat;
mod concurrent_cycles;
mod dead_stacks;
mod free_code;
mod free_heap;
mod limits;
mod load;
mod nap;
mod odd;
mod one_byte;
mod plot;
mod resnapshot;
mod rest;
mod restore;
mod restored;
mod run;
mod subjects;
mod tools;
mod training;
mod trial;
mod unprivileged;
mod warm;
mod web;

use hotfork_tests::matrix::World;
use hotfork_tests::{Outcome, build, interrupt, jdk, remains, scratch, skip, subject, wait};
use libtest_mimic::{Arguments, Trial};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    if let Err(why) = interrupt::watch() {
        eprintln!("end-to-end tests: {why}");
        return ExitCode::FAILURE;
    }
    remains::look_around();
    let world = match world() {
        Ok(world) => Arc::new(world),
        Err(why) => {
            eprintln!("end-to-end tests: {why}");
            return ExitCode::FAILURE;
        }
    };
    let conclusion = libtest_mimic::run(&arguments, trials(&world));
    let remains = if arguments.list { Vec::new() } else { remains() };
    summarize(&remains);
    if conclusion.has_failed() || !remains.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn world() -> Outcome<World> {
    build::check()?;
    let jdks = jdk::all()?;
    let subjects = subject::all(&jdks[0])?;
    let long = std::env::var_os("HOTFORK_TEST_LONG").is_some();
    Ok(World { jdks, subjects, long })
}

fn trials(world: &Arc<World>) -> Vec<Trial> {
    [
        subjects::trials(world),
        load::trials(world),
        concurrent_cycles::trials(world),
        dead_stacks::trials(world),
        free_code::trials(world),
        free_heap::trials(world),
        rest::trials(world),
        warm::trials(world),
        odd::trials(world),
        one_byte::trials(world),
        plot::trials(world),
        resnapshot::trials(world),
        nap::trials(world),
        restored::trials(world),
        tools::trials(world),
        training::trials(world),
        trial::trials(world),
        unprivileged::trials(world),
        run::trials(world),
        restore::trials(world),
        bad_images::trials(world),
        bad_surroundings::trials(world),
        limits::trials(world),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Looks for what is left, after what ends by itself (a helper that has just been told to) has had time to.
fn remains() -> Vec<String> {
    let _ = wait::until(Duration::from_secs(10), "nothing is left", || remains::found().is_empty());
    if !scratch::kept() {
        let _ = std::fs::remove_dir_all(build::scratch_of_this_run());
    }
    remains::found()
}

fn summarize(remains: &[String]) {
    for line in remains {
        println!("LEFT BEHIND {line}");
    }
    let skips = skip::all();
    for line in &skips {
        println!("{line}");
    }
    println!("summary: {} skipped for want of something, {} left behind", skips.len(), remains.len());
}
