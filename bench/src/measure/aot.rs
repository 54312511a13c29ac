//! A start with the AOT cache of JDK 25 (JEP 483, 514, 515), trained with the load that images are warmed with.

use super::image;
use crate::bench::Bench;
use crate::failure::{During, Outcome, fail};
use crate::jdk::{Collector, Jdk};
use crate::process::Process;
use crate::sample::Sample;
use crate::service::Setting;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The first release in which one command trains and makes the cache.
const SINCE: u32 = 25;
/// At its end the trained JVM starts another that makes the cache.
const MADE_WITHIN: Duration = Duration::from_secs(300);

pub struct AotCache {
    jar: PathBuf,
    cache: PathBuf,
}

/// None for a JDK that has none. Made under G1 for both collectors: only then it holds heap objects, which a JVM with
/// Serial loads too.
pub fn train(bench: &mut Bench, jdk: &Jdk, sample: &'static Sample) -> Outcome<Option<AotCache>> {
    if jdk.major < SINCE {
        return Ok(None);
    }
    let setting = Setting { jdk, sample, collector: Collector::G1 };
    bench.progress.step(&format!("{}: training an AOT cache", setting.name()));
    let directory = bench.work.join(format!("aot-{}-{}", sample.name, jdk.version));
    std::fs::create_dir_all(&directory).during(format!("make {}", directory.display()))?;
    let jar = sample.plain_jar(jdk, &directory.join("jar"))?;
    let (cache, work) = (directory.join("service.aot"), bench.work.clone());
    let options = [option("-XX:AOTCacheOutput=", &cache)];
    let start = |port| setting.start_with("in training", &options, &jar, port, &work);
    let (process, ..) = image::warm(bench, &setting, start)?;
    let said = process.terminate(MADE_WITHIN)?;
    if !cache.is_file() {
        return fail(format!("the training has made no {}; it said last\n{said}", cache.display()));
    }
    Ok(Some(AotCache { jar, cache }))
}

impl AotCache {
    /// Does not start at all where the cache cannot be used.
    pub fn start(&self, setting: &Setting, port: u16, work: &Path) -> Outcome<Process> {
        let options = [option("-XX:AOTCache=", &self.cache), "-XX:AOTMode=on".into()];
        setting.start_with("with an AOT cache", &options, &self.jar, port, work)
    }

    /// What such a start reads besides the JDK.
    pub fn files(&self) -> Outcome<Vec<PathBuf>> {
        let mut files = vec![self.cache.clone(), self.jar.clone()];
        let libraries = self.jar.with_file_name("lib");
        if libraries.is_dir() {
            let what = format!("list {}", libraries.display());
            for entry in std::fs::read_dir(&libraries).during(&what)? {
                files.push(entry.during(&what)?.path());
            }
        }
        Ok(files)
    }
}

fn option(name: &str, path: &Path) -> OsString {
    let mut option = OsString::from(name);
    option.push(path);
    option
}
