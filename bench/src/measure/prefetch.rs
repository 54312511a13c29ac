//! What is brought in ahead was written for the measured request: a first request of another kind must not pay for it.

use super::image::Image;
use super::startup;
use crate::bench::Bench;
use crate::failure::Outcome;
use crate::first_response::FirstResponse;
use crate::page_cache;
use crate::service::Setting;
use serde::Serialize;
use std::path::Path;

/// Nanoseconds from exec to the first answer.
#[derive(Serialize)]
pub struct OtherFirst {
    pub with_prefetch: u64,
    pub without: u64,
}

/// Pairs whose halves take turns in coming first.
pub fn measure(bench: &Bench, setting: &Setting, image: &Image) -> Outcome<Vec<OtherFirst>> {
    page_cache::read_anew(files(bench, image))?;
    (0..bench.plan.prefetch_pairs)
        .map(|number| {
            let one = |prefetch| answered(bench, setting, image, prefetch);
            if number % 2 == 0 {
                let with_prefetch = one(true)?;
                Ok(OtherFirst { with_prefetch, without: one(false)? })
            } else {
                let without = one(false)?;
                Ok(OtherFirst { with_prefetch: one(true)?, without })
            }
        })
        .collect()
}

fn files<'a>(bench: &'a Bench, image: &'a Image) -> [&'a Path; 3] {
    [&image.path, &bench.product.hotfork, &bench.product.agent]
}

fn answered(bench: &Bench, setting: &Setting, image: &Image, prefetch: bool) -> Outcome<u64> {
    page_cache::read(files(bench, image))?;
    let options: &[&str] = if prefetch { &[] } else { &["--no-prefetch"] };
    let start = || startup::start_with(bench, setting, image, None, options);
    let (mut process, first) = FirstResponse::of(start, image.port, setting.sample.other(), 0)?;
    startup::times(bench, &mut process)?;
    process.kill()?;
    Ok(first.since_exec)
}
