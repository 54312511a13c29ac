//! CRIU as one more way to start, where one works: a warmed twin of the service is dumped, and restored under its own pid.

use super::image;
use crate::bench::Bench;
use crate::failure::{During, Failure, Outcome};
use crate::first_response::{FURTHER_REQUESTS, FirstResponse};
use crate::process::{Process, output};
use crate::service::{self, Setting};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::Command;

/// Bytes of st_blocks's unit, stat(3type).
const BLOCK: u64 = 512;

/// A criu that works here, or why there is none, in one line.
pub enum Criu {
    Works(String),
    Missing(String),
}

impl Criu {
    /// Asks `criu check`: that of Debian 12 (3.17.1) fails on kernels since 6.13.
    pub fn look() -> Self {
        let Ok(version) = output("criu", Command::new("criu").arg("--version")) else {
            return Self::Missing("there is no criu on the PATH".into());
        };
        let version = version.lines().next().and_then(|line| line.split_whitespace().last()).unwrap_or("?").to_owned();
        match output("criu check", Command::new("criu").arg("check")) {
            Ok(_) => Self::Works(version),
            Err(Failure(why)) => Self::Missing(format!(
                "criu check of {version} ends with \"{}\" (Linux since 6.13 needs 4.1 or later)",
                why.lines().last().unwrap_or(&why)
            )),
        }
    }

    pub fn line(&self) -> String {
        match self {
            Self::Works(version) => format!("CRIU {version} was measured too."),
            Self::Missing(why) => format!("CRIU was not measured: {why}."),
        }
    }
}

pub struct Dump {
    directory: PathBuf,
    port: u16,
    pid: u32,
    body: Vec<u8>,
}

/// The twin differs in what CRIU compares: its files are its own, and it has no counters in /tmp, which end with it.
pub fn dump(bench: &mut Bench, setting: &Setting) -> Outcome<Option<Dump>> {
    if matches!(bench.criu, Criu::Missing(_)) {
        return Ok(None);
    }
    bench.progress.step(&format!("{}: warming up a twin for CRIU", setting.name()));
    let directory = bench.work.join("criu");
    std::fs::create_dir_all(&directory).during(format!("make {}", directory.display()))?;
    let (jar, work) = (setting.sample.jar()?, directory.clone());
    let start = |port| setting.start_with("for CRIU", &["-XX:-UsePerfData".into()], &jar, port, &work);
    let (twin, port, body) = image::warm(bench, setting, start)?;
    let pid = twin.pid();
    let mut criu = Command::new("criu");
    criu.args(["dump", "--shell-job", "--tcp-close", "--tree"]).arg(pid.to_string());
    criu.arg("--images-dir").arg(&directory);
    output("criu dump", &mut criu).map_err(|failure| twin.failure(&failure.0))?;
    Ok(Some(Dump { directory, port, pid, body }))
}

impl Dump {
    pub fn restore(&self, bench: &Bench, setting: &Setting) -> Outcome<FirstResponse> {
        let start = || {
            let mut criu = Command::new("criu");
            criu.args(["restore", "--shell-job", "--tcp-close", "--images-dir"]).arg(&self.directory);
            let process = Process::spawn("criu restore", &mut criu, &bench.work.join("criu.log"))?;
            Ok(process.standing_for(self.pid))
        };
        let (process, first) =
            service::first_response(setting.sample, start, self.port, FURTHER_REQUESTS, Some(&self.body))?;
        process.kill()?;
        Ok(first)
    }

    /// What a restore reads.
    pub fn files(&self) -> Outcome<Vec<PathBuf>> {
        let what = format!("list {}", self.directory.display());
        let entries = std::fs::read_dir(&self.directory).during(&what)?;
        let images = entries.filter_map(|entry| Some(entry.ok()?.path()));
        Ok(images.filter(|path| path.extension().is_some_and(|extension| extension == "img")).collect())
    }

    /// What the dump takes on the disk.
    pub fn size(&self) -> Outcome<u64> {
        let size = |path: PathBuf| {
            let blocks = path.metadata().during(format!("look at {}", path.display()))?.blocks();
            Ok(blocks * BLOCK)
        };
        self.files()?.into_iter().map(size).sum()
    }

    pub fn remove(self) -> Outcome<()> {
        std::fs::remove_dir_all(&self.directory).during(format!("remove {}", self.directory.display()))
    }
}
