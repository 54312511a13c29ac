//! The way to the agent in a running JVM: by its own control socket where it was started with one, else by HotSpot's
//! attach mechanism, which loads the agent if it is not there yet.

use crate::agent;
use crate::attach;
use crate::control_socket;
use crate::exit::{ExitCode, Failure};
use crate::identity::files::below;
use crate::proc::status::{self, Status};
use crate::proc::{Process, maps};
use crate::save::Packets;
use crate::snapshot_socket::SnapshotSocket;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// An agent that was loaded connects when it has brought the JVM to rest: half a minute at most, a collection apart.
const CONNECTS_WITHIN: Duration = Duration::from_secs(90);

/// Where the agent connects to.
pub struct MeetingPlace(SnapshotSocket);

impl MeetingPlace {
    pub fn meet(&self) -> Result<Packets, Failure> {
        Ok(Packets::new(self.0.accept(CONNECTS_WITHIN)?, "the agent"))
    }
}

/// Passes options to the agent, `options` being told where it is to connect to, and meets it there.
pub fn agent(pid: i32, options: impl FnOnce(PathBuf) -> OsString) -> Result<Packets, Failure> {
    call(pid, options)?.meet()
}

/// Passes options to the agent, which will connect as often as they want it to.
pub fn call(pid: i32, options: impl FnOnce(PathBuf) -> OsString) -> Result<MeetingPlace, Failure> {
    let process = Process(pid);
    let status = look(process)?;
    let library = agent::library()?;
    check_visible(process, &library)?;
    let socket = SnapshotSocket::create(process, &status)?;
    let options = options(socket.path_in_jvm());
    if !control_socket::ask(process, &options)? {
        attach::connect(process)?.load_agent(&library, &options)?;
    }
    Ok(MeetingPlace(socket))
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
