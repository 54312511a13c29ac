//! `hotfork snapshot`: takes an image of a running JVM.

use crate::agent::OptionList;
use crate::cli::SnapshotArgs;
use crate::exit::{ExitCode, Failure};
use crate::reach;
use crate::save::{Options, serve};
use crate::say;
use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

pub fn run(args: SnapshotArgs) -> Result<i32, Failure> {
    crate::trial::check(&args.capture.trial, &[]).map_err(usage)?;
    let image = match &args.image {
        Some(path) => {
            Some(std::path::absolute(path).map_err(|error| usage(format!("--image {}: {error}", path.display())))?)
        }
        None => None,
    };
    let agent = reach::agent(args.pid, |control| agent_options(&args, image.as_deref(), control))?;
    let mut progress = Progress::new(args.capture.quiet);
    let saved = serve(&agent, Options { image, progress: &mut |done, total| progress.show(done, total) });
    progress.clear();
    let saved = saved?;
    if args.json {
        let text = serde_json::to_string(&saved).map_err(|error| usage(format!("cannot print the report: {error}")))?;
        println!("{text}");
    } else {
        say::note(args.capture.quiet, &saved.line());
    }
    Ok(0)
}

fn usage(message: String) -> Failure {
    Failure::new(ExitCode::Usage, message)
}

fn agent_options(args: &SnapshotArgs, image: Option<&Path>, control: PathBuf) -> OsString {
    let mut options = OptionList::default();
    if let Some(image) = image {
        options.add("image", image);
    }
    options.add("control", control);
    options.add_capture(&args.capture, args.exit);
    options.into_os_string()
}

/// One line on a terminal that is rewritten as the image grows.
struct Progress {
    shown: bool,
    active: bool,
}

impl Progress {
    fn new(quiet: bool) -> Self {
        Self { shown: false, active: !quiet && std::io::stderr().is_terminal() }
    }

    fn show(&mut self, done: u64, total: u64) {
        if self.active && total > 0 {
            self.shown = true;
            self.write(&format!("\rhotfork: saving {} of {} MB", done >> 20, total >> 20));
        }
    }

    fn clear(&mut self) {
        if std::mem::take(&mut self.shown) {
            self.write("\r\x1b[K");
        }
    }

    /// A terminal that went away needs no progress.
    fn write(&mut self, text: &str) {
        self.active &= std::io::stderr().write_all(text.as_bytes()).is_ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::CaptureOptions;

    #[test]
    fn options_for_the_agent() {
        let capture = CaptureOptions { mode: None, max_stop: None, no_quiesce: false, trial: vec![], quiet: false };
        let args = SnapshotArgs { pid: 1, image: None, exit: true, capture, json: false };
        assert_eq!(agent_options(&args, None, "/tmp/s".into()), "control=/tmp/s,exit=true");
        assert_eq!(agent_options(&args, Some(Path::new("/i")), "/tmp/s".into()), "image=/i,control=/tmp/s,exit=true");
    }
}
