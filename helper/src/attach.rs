//! HotSpot's attach protocol, version 1: a Unix stream socket `.java_pid<pid>` in /tmp, which the JVM makes when it finds
//! a file `.attach_pid<pid>` on SIGQUIT.

use crate::exit::{ExitCode, Failure};
use crate::proc::status::{self, Status};
use crate::proc::{ProcError, Process};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, chown};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// HotSpot's limit for one argument, its NUL not counted.
const ARGUMENT_AT_MOST: usize = 1024;
/// A JVM answers SIGQUIT at its next safepoint.
const LISTENS_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(5);
const ANSWERS_WITHIN: Duration = Duration::from_secs(60);

/// A JVM that listens for attach requests.
pub struct Attached {
    stream: UnixStream,
    process: Process,
}

fn refused(process: Process, why: impl std::fmt::Display) -> Failure {
    Failure::new(ExitCode::Refused, format!("cannot attach to JVM {}: {why}", process.0))
}

fn failed(process: Process, why: impl std::fmt::Display) -> Failure {
    Failure::new(ExitCode::CaptureFailed, format!("cannot attach to JVM {}: {why}", process.0))
}

/// Connects, after waking the JVM's attach listener where it does not run yet.
pub fn connect(process: Process) -> Result<Attached, Failure> {
    let status = process.parse("status", status::parse).map_err(|error: ProcError| failed(process, error))?;
    let own = nix::unistd::geteuid().as_raw();
    if own != 0 && own != status.uid {
        return Err(refused(
            process,
            format!("it belongs to uid {}, hotfork runs as uid {own}; run hotfork as that user", status.uid),
        ));
    }
    let socket = process.path(format!("root/tmp/.java_pid{}", status.namespace_pid));
    if !listens(&socket) {
        wake(process, &status, &socket)?;
    }
    let stream = UnixStream::connect(&socket)
        .map_err(|error| failed(process, format!("{}: {error}; try again", socket.display())))?;
    check_owner(process, &socket, status.uid)?;
    for set in [UnixStream::set_read_timeout, UnixStream::set_write_timeout] {
        set(&stream, Some(ANSWERS_WITHIN)).map_err(|error| failed(process, error))?;
    }
    Ok(Attached { stream, process })
}

/// Whether somebody listens there; the socket file may be an ended JVM's.
fn listens(socket: &Path) -> bool {
    UnixStream::connect(socket).is_ok()
}

/// A stranger's socket of that name must not get our request.
fn check_owner(process: Process, socket: &Path, uid: u32) -> Result<(), Failure> {
    let metadata = fs::symlink_metadata(socket).map_err(|error| failed(process, error))?;
    if metadata.uid() != uid && metadata.uid() != 0 {
        let why = format!("{} belongs to uid {}, not to the JVM's uid {uid}", socket.display(), metadata.uid());
        return Err(refused(process, format!("{why}; remove it")));
    }
    Ok(())
}

/// Makes the trigger file and sends SIGQUIT, but only to a JVM that catches it: any other would die.
fn wake(process: Process, status: &Status, socket: &Path) -> Result<(), Failure> {
    if !status.catches(libc::SIGQUIT) {
        let why = "it does not catch SIGQUIT (it is still starting, or runs with -Xrs or -XX:+ReduceSignalUsage)";
        return Err(refused(process, format!("{why}; try again, or start it with the agent option control=SOCKET")));
    }
    if status.state == 'T' {
        return Err(refused(process, "it is stopped; continue it (kill -CONT) first"));
    }
    let trigger = Trigger::create(process, status)?;
    let quit = || {
        kill(Pid::from_raw(process.0), Signal::SIGQUIT).map_err(|errno| failed(process, format!("SIGQUIT: {errno}")))
    };
    quit()?;
    let start = Instant::now();
    let mut repeated = false;
    while !listens(socket) {
        // As the JDK's own tools do. An instance in its first moments takes the captured JVM's listener for its own, and dumps its
        // threads.
        if !repeated && start.elapsed() > LISTENS_WITHIN / 2 {
            quit()?;
            repeated = true;
        }
        if start.elapsed() > LISTENS_WITHIN {
            let why = format!("it does not listen within {} s", LISTENS_WITHIN.as_secs());
            let remedy =
                "was it started with -XX:+DisableAttachMechanism? then start it with the agent option control=SOCKET";
            return Err(refused(process, format!("{why}; {remedy}")));
        }
        if !process.path("status").exists() {
            return Err(failed(process, "it has ended"));
        }
        // Another process makes the socket at a time of its own; there is nothing to wait on.
        std::thread::sleep(LOOK_EVERY);
    }
    drop(trigger);
    Ok(())
}

/// `.attach_pid<pid>` in the JVM's current directory, or else in its /tmp; removed when dropped.
struct Trigger(PathBuf);

impl Trigger {
    fn create(process: Process, status: &Status) -> Result<Self, Failure> {
        let name = format!(".attach_pid{}", status.namespace_pid);
        let mut last = io::Error::other("no directory to make it in");
        for directory in ["cwd", "root/tmp"] {
            let path = process.path(format!("{directory}/{name}"));
            match Self::at(&path, status) {
                Ok(trigger) => return Ok(trigger),
                Err(error) => last = error,
            }
        }
        Err(failed(process, format!("cannot make {name} in its directory or its /tmp: {last}")))
    }

    fn at(path: &Path, status: &Status) -> io::Result<Self> {
        match OpenOptions::new().write(true).create_new(true).mode(0o660).custom_flags(libc::O_NOFOLLOW).open(path) {
            // Another attach is under way, or has left it: HotSpot removes the file itself.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(Self(path.to_path_buf())),
            other => drop(other?),
        }
        let trigger = Self(path.to_path_buf());
        // HotSpot believes in a file of its own user only.
        if nix::unistd::geteuid().as_raw() != status.uid {
            chown(path, Some(status.uid), Some(status.gid))?;
        }
        Ok(trigger)
    }
}

impl Drop for Trigger {
    fn drop(&mut self) {
        match fs::remove_file(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                log::warn!("cannot remove {}: {error}", self.0.display())
            }
            _ => {}
        }
    }
}

impl Attached {
    /// Has the JVM load an agent library by its path; comes back when Agent_OnAttach has.
    pub fn load_agent(mut self, library: &Path, options: &OsStr) -> Result<(), Failure> {
        let request = load_request(library, options).map_err(|why| failed(self.process, why))?;
        let mut answer = Vec::new();
        let exchanged = self.stream.write_all(&request).and_then(|()| self.stream.read_to_end(&mut answer));
        exchanged.map_err(|error| failed(self.process, format!("it does not answer: {error}; try again")))?;
        judge(&answer).map_err(|why| failed(self.process, format!("it does not load {}: {why}", library.display())))
    }
}

/// Version, command, three arguments: each ends in NUL. `true` says that the path is absolute.
fn load_request(library: &Path, options: &OsStr) -> Result<Vec<u8>, String> {
    let mut request = b"1\0load\0".to_vec();
    for argument in [library.as_os_str().as_bytes(), b"true", options.as_bytes()] {
        if argument.len() > ARGUMENT_AT_MOST {
            return Err(format!(
                "HotSpot takes at most {ARGUMENT_AT_MOST} bytes in an argument, these are {}; use a shorter path",
                argument.len()
            ));
        }
        if argument.contains(&0) {
            return Err("a path holds a NUL byte".into());
        }
        request.extend_from_slice(argument);
        request.push(0);
    }
    Ok(request)
}

/// The first line is the command's status; then what the library's Agent_OnAttach returned.
fn judge(answer: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(answer);
    let (status, rest) = text.split_once('\n').unwrap_or((&text, ""));
    let rest = rest.trim();
    let shown = |text: &str| text.replace('\n', "; ");
    match status.trim().parse::<i32>() {
        Ok(0) => {}
        Ok(code) => return Err(format!("{} (status {code})", shown(rest))),
        Err(_) => return Err(format!("it answers {:?}", shown(&text))),
    }
    let code = rest.strip_prefix("return code:").unwrap_or(rest).trim();
    match code.lines().next().unwrap_or("") {
        "0" | "" => Ok(()),
        code if code.parse::<i32>().is_ok() => {
            Err(format!("the agent returns {code}; its reason is on the JVM's stderr"))
        }
        _ => Err(shown(rest)),
    }
}

#[cfg(test)]
#[path = "attach_tests.rs"]
mod tests;
