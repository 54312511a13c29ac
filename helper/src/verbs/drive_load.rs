//! `hotfork drive-load`: the process beside a JVM that drives its training load.

use super::serve_capture::{be_killed_first, take_socket};
use crate::cli::DriveLoadArgs;
use crate::exit::Failure;
use crate::load::driver::drive;
use crate::proc::Process;

pub fn run(args: DriveLoadArgs) -> Result<i32, Failure> {
    let socket = take_socket(args.socket)?;
    be_killed_first();
    // What a load's command leaves behind is to be this process's, not that of a JVM that is pid 1.
    if let Err(errno) = nix::sys::prctl::set_child_subreaper(true) {
        log::warn!("cannot become a subreaper: {errno}");
    }
    drive(socket, Process(args.pid), args.port, &args.load);
    Ok(0)
}
