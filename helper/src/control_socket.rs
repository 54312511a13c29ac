//! The agent's own socket (agent option `control=SOCKET`), by which a JVM without attach hears `snapshot`.

use crate::agent;
use crate::exit::{ExitCode, Failure};
use crate::proc::Process;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, getsockopt, send, socket, sockopt,
};
use std::ffi::OsStr;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// Passes options to the agent of a JVM that was started with a control socket. False where there is none to ask.
pub fn ask(process: Process, options: &OsStr) -> Result<bool, Failure> {
    let Some(path) = path(process) else { return Ok(false) };
    let failed = |errno: Errno| {
        let place = path.display();
        let message = format!("cannot ask JVM {} at its control socket {place}: {}", process.0, errno.desc());
        Failure::new(ExitCode::CaptureFailed, format!("{message}; its reason is on the JVM's stderr"))
    };
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None).map_err(failed)?;
    match connect(socket.as_raw_fd(), &UnixAddr::new(&path).map_err(failed)?) {
        Ok(()) => {}
        // An instance, whose captured JVM has the socket, or had it.
        Err(Errno::ENOENT | Errno::ECONNREFUSED) => return Ok(false),
        Err(errno) => return Err(failed(errno)),
    }
    if getsockopt(&socket, sockopt::PeerCredentials).map_err(failed)?.pid() != process.0 {
        return Ok(false);
    }
    send(socket.as_raw_fd(), options.as_bytes(), MsgFlags::MSG_NOSIGNAL).map_err(failed)?;
    Ok(true)
}

/// The socket that the JVM's command line or its JAVA_TOOL_OPTIONS name, from here.
fn path(process: Process) -> Option<PathBuf> {
    let read = |file: &str| std::fs::read(process.path(file)).unwrap_or_default();
    let (command, environment) = (read("cmdline"), read("environ"));
    let variable = environment.split(|&byte| byte == 0).find_map(|text| text.strip_prefix(b"JAVA_TOOL_OPTIONS="));
    let words = command.split(|&byte| byte == 0);
    let tool_words = variable.unwrap_or_default().split(u8::is_ascii_whitespace);
    let named = PathBuf::from(words.chain(tool_words).find_map(|word| agent::option(word, "control"))?);
    let seen = match named.strip_prefix("/") {
        Ok(below) => PathBuf::from("root").join(below),
        Err(_) => PathBuf::from("cwd").join(named),
    };
    Some(process.path(seen.to_str()?))
}
