//! `hotfork snapshot`: takes an image of a running JVM.

use crate::agent::{self, OptionList};
use crate::attach;
use crate::cli::SnapshotArgs;
use crate::control_socket;
use crate::exit::{ExitCode, Failure};
use crate::identity::files::below;
use crate::proc::status::{self, Status};
use crate::proc::{Process, maps};
use crate::save::{Options, Packets, serve};
use crate::say;
use crate::snapshot_socket::SnapshotSocket;
use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// An agent that was loaded connects at once.
const CONNECTS_WITHIN: Duration = Duration::from_secs(20);

pub fn run(args: SnapshotArgs) -> Result<i32, Failure> {
    let process = Process(args.pid);
    let status = look(process)?;
    let library = agent::library()?;
    check_visible(process, &library)?;
    let image = match &args.image {
        Some(path) => {
            Some(std::path::absolute(path).map_err(|error| usage(format!("--image {}: {error}", path.display())))?)
        }
        None => None,
    };
    let socket = SnapshotSocket::create(process, &status)?;
    let options = agent_options(&args, image.as_deref(), socket.path_in_jvm());
    if !control_socket::ask(process, &options)? {
        attach::connect(process)?.load_agent(&library, &options)?;
    }
    let connection = socket.accept(CONNECTS_WITHIN)?;
    drop(socket);
    let agent = Packets::new(connection, "the agent");
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

/// Whether it is a JVM at all: HotSpot's library is mapped.
fn look(process: Process) -> Result<Status, Failure> {
    let status =
        process.parse("status", status::parse).map_err(|error| usage(format!("no process {}: {error}", process.0)))?;
    let maps = process.parse("maps", maps::parse).map_err(|error| {
        Failure::new(
            ExitCode::Refused,
            format!("cannot look at process {}: {error}; run hotfork as its user", process.0),
        )
    })?;
    let is_jvm = maps.iter().filter_map(|mapping| mapping.file()?.file_name()).any(|name| name == "libjvm.so");
    if is_jvm {
        return Ok(status);
    }
    Err(Failure::new(
        ExitCode::Refused,
        format!("process {} is no HotSpot JVM: libjvm.so is not mapped; see `jps -l`", process.0),
    ))
}

/// The JVM loads the library by the path that it sees.
fn check_visible(process: Process, library: &Path) -> Result<(), Failure> {
    let seen = below(&process.path("root"), library);
    if std::fs::metadata(&seen).is_ok_and(|metadata| metadata.is_file()) {
        return Ok(());
    }
    let why = format!(
        "JVM {} does not see {}, because it runs in another root directory (a container)",
        process.0,
        library.display()
    );
    Err(Failure::new(
        ExitCode::Refused,
        format!("{why}; run hotfork in there, or mount its directory there at the same path"),
    ))
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
    fn a_process_that_is_no_jvm_is_refused() {
        let own = std::process::id() as i32;
        let failure = look(Process(own)).unwrap_err();
        assert_eq!(failure.code, ExitCode::Refused);
        assert_eq!(failure.message, format!("process {own} is no HotSpot JVM: libjvm.so is not mapped; see `jps -l`"));
        assert!(look(Process(0)).unwrap_err().message.starts_with("no process 0: cannot read /proc/0/status"));
    }

    #[test]
    fn a_library_that_the_jvm_does_not_see_is_refused() {
        let own = Process(std::process::id() as i32);
        check_visible(own, &std::env::current_exe().unwrap()).unwrap();
        let failure = check_visible(own, Path::new("/nowhere/libhotfork.so")).unwrap_err();
        assert!(failure.message.contains("does not see /nowhere/libhotfork.so"), "{failure}");
    }

    #[test]
    fn options_for_the_agent() {
        let capture = CaptureOptions { mode: None, max_stop: None, no_quiesce: false, quiet: false };
        let args = SnapshotArgs { pid: 1, image: None, exit: true, capture, json: false };
        assert_eq!(agent_options(&args, None, "/tmp/s".into()), "control=/tmp/s,exit=true");
        assert_eq!(agent_options(&args, Some(Path::new("/i")), "/tmp/s".into()), "image=/i,control=/tmp/s,exit=true");
    }
}
