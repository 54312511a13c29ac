//! `FILE.report.json`: how the last capture for an image ended, for programs.

use crate::exit::Failure;
use crate::image::manifest::{PagesOfKind, Trial};
use serde::Serialize;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

#[derive(Clone, Debug, Serialize)]
#[serde(tag = "result", rename_all = "lowercase")]
pub enum Report {
    Saved(Saved),
    Failed { hotfork_version: &'static str, image: PathBuf, exit_code: i32, reason: String },
}

#[derive(Clone, Debug, Serialize)]
pub struct Saved {
    pub hotfork_version: &'static str,
    pub image: PathBuf,
    /// Bytes that it takes on the disk.
    pub size: u64,
    /// Bytes of the file, its holes among them.
    pub file_length: u64,
    /// CLOCK_MONOTONIC when the first application thread was asked to stop.
    pub stop_began_ns: u64,
    /// CLOCK_MONOTONIC when the JVM was found warm, or its deadline came; null where nobody waited for that.
    pub verdict_ns: Option<u64>,
    /// How long application threads stood still.
    pub stopped_ns: u64,
    /// From the thaw to the image in its place.
    pub saving_ns: u64,
    pub pid: i32,
    pub threads: usize,
    pub mappings: u32,
    pub descriptors: usize,
    /// Pages in the image, and those that were left out.
    pub pages: Vec<PagesOfKind>,
    /// `Ok` with what was seen, `Err` with why it failed; null where nobody asked for one.
    pub trial: Option<Result<Trial, String>>,
    /// The trial was poor, so that another image is being taken: it takes this one's place if it is better.
    pub taken_again: bool,
}

impl Saved {
    /// The line that a user reads.
    pub fn line(&self) -> String {
        let trial = match &self.trial {
            Some(Err(why)) => format!("; its trial failed: {why}"),
            Some(Ok(trial)) if trial.poor => format!(
                "; its trial was poor: the first request took {:.1} ms, compilers {:.1} ms, {} methods were deoptimized",
                trial.first_request_ns as f64 / 1e6,
                trial.compiling_ns as f64 / 1e6,
                trial.deoptimizations.unwrap_or(0)
            ),
            Some(Ok(_)) | None => String::new(),
        };
        format!(
            "image {} ({:.1} MB), the JVM stood still for {:.1} ms, saving took {:.1} ms{trial}",
            self.image.display(),
            self.size as f64 / f64::from(1 << 20),
            self.stopped_ns as f64 / 1e6,
            self.saving_ns as f64 / 1e6
        )
    }
}

impl Report {
    pub fn failed(image: &Path, failure: &Failure) -> Self {
        let (exit_code, reason) = (failure.code as i32, failure.message.clone());
        Self::Failed { hotfork_version: hotfork_abi::VERSION, image: image.to_path_buf(), exit_code, reason }
    }

    pub fn write(&self, image: &Path) -> io::Result<()> {
        replace(image, self)
    }
}

/// Says in the report of an image that it stays: no better one could be taken.
pub fn settle(image: &Path) -> io::Result<()> {
    let text = std::fs::read(beside(image, ".report.json"))?;
    let mut report: serde_json::Value = serde_json::from_slice(&text).map_err(io::Error::other)?;
    report["taken_again"] = false.into();
    replace(image, &report)
}

/// Written whole or not at all, like the image.
fn replace(image: &Path, report: &impl Serialize) -> io::Result<()> {
    let path = beside(image, ".report.json");
    let temporary = beside(image, &format!(".report.json.{}.tmp", std::process::id()));
    let result = write_new(&temporary, report).and_then(|()| std::fs::rename(&temporary, &path));
    if result.is_err() {
        // The first error is the one to tell; there may be nothing to remove.
        let _ = std::fs::remove_file(&temporary);
    }
    result
}

fn write_new(path: &Path, report: &impl Serialize) -> io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let text = serde_json::to_string_pretty(report).map_err(io::Error::other)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")
}

fn beside(image: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(image);
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::ExitCode;
    use crate::scratch::Directory;

    fn saved(image: &Path) -> Saved {
        Saved {
            hotfork_version: "1",
            image: image.to_path_buf(),
            size: 3 << 20,
            file_length: 3 << 20,
            stop_began_ns: 1,
            verdict_ns: None,
            stopped_ns: 4_250_000,
            saving_ns: 90_000_000,
            pid: 7,
            threads: 30,
            mappings: 400,
            descriptors: 12,
            pages: vec![PagesOfKind { kind: "code".into(), in_image: 1, zero: 2, repeated: 0, dead: 0 }],
            trial: None,
            taken_again: true,
        }
    }

    #[test]
    fn the_line_says_where_how_large_and_how_long() {
        let line = saved(Path::new("/i")).line();
        assert_eq!(line, "image /i (3.0 MB), the JVM stood still for 4.2 ms, saving took 90.0 ms");
        let failed = Saved { trial: Some(Err("no answer".into())), ..saved(Path::new("/i")) };
        assert_eq!(failed.line(), format!("{line}; its trial failed: no answer"));
    }

    #[test]
    fn reports_replace_each_other() {
        let directory = Directory::new("report");
        let image = directory.path().join("app.image");
        Report::failed(&image, &Failure::new(ExitCode::Refused, "no")).write(&image).unwrap();
        let read = || {
            let text = std::fs::read(directory.path().join("app.image.report.json")).unwrap();
            serde_json::from_slice::<serde_json::Value>(&text).unwrap()
        };
        assert_eq!((read()["result"].as_str(), read()["exit_code"].as_i64()), (Some("failed"), Some(114)));
        Report::Saved(saved(&image)).write(&image).unwrap();
        assert_eq!((read()["result"].as_str(), read()["pages"][0]["zero"].as_u64()), (Some("saved"), Some(2)));
        assert_eq!(read()["taken_again"].as_bool(), Some(true));
        settle(&image).unwrap();
        assert_eq!((read()["taken_again"].as_bool(), read()["pages"][0]["zero"].as_u64()), (Some(false), Some(2)));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_directory_that_is_gone_is_an_error() {
        let image = Path::new("/nowhere/image");
        assert!(Report::Saved(saved(image)).write(image).is_err());
    }
}
