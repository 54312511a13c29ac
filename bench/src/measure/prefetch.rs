//! What is brought in ahead was written for the measured request: a first request of another kind must not pay for it.

use super::image::Image;
use crate::bench::Bench;
use crate::failure::{During, Outcome};
use crate::first_response::FirstResponse;
use crate::page_cache;
use crate::process::Process;
use crate::service::Setting;
use crate::times::Times;
use serde::Serialize;

/// Nanoseconds from exec to the first answer.
#[derive(Serialize)]
pub struct OtherFirst {
    pub with_prefetch: u64,
    pub without: u64,
}

/// Pairs whose halves take turns in coming first.
pub fn measure(bench: &Bench, setting: &Setting, image: &Image) -> Outcome<Vec<OtherFirst>> {
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

fn answered(bench: &Bench, setting: &Setting, image: &Image, prefetch: bool) -> Outcome<u64> {
    page_cache::read([image.path.as_path(), &bench.product.hotfork, &bench.product.agent])?;
    let times = bench.work.join("times.json");
    let start = || {
        let mut command = bench.product.restore(&image.path, &times, None);
        if !prefetch {
            command.arg("--no-prefetch");
        }
        Process::spawn(&format!("restore of {}", setting.name()), &mut command, &bench.work.join("restore.log"))
    };
    let (mut process, first) = FirstResponse::of(start, image.port, setting.sample.other(), 0)?;
    Times::of(&mut process, &times)?;
    process.kill()?;
    std::fs::remove_file(&times).during(format!("remove {}", times.display()))?;
    Ok(first.since_exec)
}
