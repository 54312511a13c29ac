//! `hotfork snapshot`: takes an image of a running JVM.

use crate::agent::OptionList;
use crate::cli::SnapshotArgs;
use crate::exit::{ExitCode, Failure};
use crate::reach::{self, MeetingPlace};
use crate::report::Saved;
use crate::save::{Options, Served, serve, settle_report};
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
    let place = reach::call(args.pid, |control| agent_options(&args, image.as_deref(), control))?;
    let saved = take(&args, &place, image)?;
    if args.json {
        let text = serde_json::to_string(&saved).map_err(|error| usage(format!("cannot print the report: {error}")))?;
        println!("{text}");
    }
    Ok(0)
}

/// Takes the image, again where the agent does so because its trial was poor, and says so. Once there is one, no failure takes it away.
fn take(args: &SnapshotArgs, place: &MeetingPlace, image: Option<PathBuf>) -> Result<Saved, Failure> {
    let quiet = args.capture.quiet;
    let serve_one = |again| {
        let mut progress = Progress::new(quiet);
        let options = Options { image: image.clone(), again, progress: &mut |done, total| progress.show(done, total) };
        let served = place.meet().and_then(|agent| serve(&agent, options));
        progress.clear();
        served
    };
    let say = |saved: &Saved| match saved.taken_again {
        true => say::note(quiet, &format!("{}, so it is taken again", saved.line())),
        false => say::note(quiet || args.json, &saved.line()),
    };
    let mut saved = match serve_one(false)? {
        Served::Saved(saved) => saved,
        Served::Kept { why, .. } => return Err(Failure::new(ExitCode::CaptureFailed, why)),
    };
    say(&saved);
    while saved.taken_again {
        match serve_one(true) {
            Ok(Served::Saved(better)) => {
                saved = better;
                say(&saved);
            }
            Ok(Served::Kept { why, again }) => {
                let what = format!("the image was taken again and is no better ({why}): the one that is there stays");
                say::note(quiet, &what);
                saved.taken_again = again;
            }
            Err(failure) => {
                // Also where nobody came to say so.
                settle_report(&saved.image);
                say::line(&format!("{failure}; the image that is there stays"));
                saved.taken_again = false;
            }
        }
    }
    Ok(saved)
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
