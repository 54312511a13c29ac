//! Numbers: the helper's own descriptors stay above those that the image needs.

use crate::descriptors::sys;
use crate::exit::{ExitCode, Failure};
use crate::host::limits;
use crate::image::manifest::Descriptors;
use nix::errno::Errno;
use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd, OwnedFd};

/// What the helper itself has open at a time besides the table and the mapped files.
const HELPER_NEEDS: u64 = 32;

/// Opens /dev/null at each of 0, 1 and 2 that is closed. Called before anything else is opened.
pub fn occupy_standard() -> Result<(), Failure> {
    for number in 0..=2 {
        if sys::descriptor_flags(number) != Err(Errno::EBADF) {
            continue;
        }
        let null = std::fs::File::options().read(true).write(true).open("/dev/null").map_err(|error| {
            let message =
                format!("descriptor {number} is closed and cannot become /dev/null: {error}; start with it open");
            Failure::new(ExitCode::HostResource, message)
        })?;
        // The lowest free number is this one; std set close-on-exec, which does not befit it.
        let taken = null.into_raw_fd();
        sys::set_descriptor_flags(taken, 0).map_err(|error| {
            Failure::new(ExitCode::HostResource, format!("cannot keep descriptor {number} open: {}", error.desc()))
        })?;
    }
    Ok(())
}

/// Raises the limit of open files as HotSpot does, and returns the first number above the table.
pub fn make_room(table: &Descriptors) -> Result<i32, Failure> {
    let room = table.numbers.iter().map(|number| number.fd).max().unwrap_or(0).max(2) + 1;
    let limit = limits::raise_open_files().map_err(|error| {
        let message = format!("the limit of open files cannot be raised: {error}; look at ulimit -n");
        Failure::new(ExitCode::HostResource, message)
    })?;
    let needed = room as u64 + table.descriptions.len() as u64 + HELPER_NEEDS;
    if limit < needed {
        let message = format!(
            "the limit of open files is {limit}, the image needs {needed} (its highest descriptor is {}); raise it with ulimit -n {needed}",
            room - 1
        );
        return Err(Failure::new(ExitCode::HostResource, message));
    }
    Ok(room)
}

/// Lets the kernel's table grow to what this process will need, with `files` mapped ones: with a second thread each growth waits for a grace
/// period of RCU, 6 ms. Where that cannot be, it grows when it must.
pub fn widen(fd: BorrowedFd, room: i32, table: &Descriptors, files: usize) {
    let highest = room as usize + table.descriptions.len() + files + HELPER_NEEDS as usize;
    if let Ok(number) = i32::try_from(highest) {
        drop(sys::duplicate(fd.as_raw_fd(), number));
    }
}

/// Moves a descriptor of the helper's out of the way. Its old number stays open until `rebuild` closes all below `room` at once.
pub fn lift(fd: OwnedFd, room: i32) -> Result<OwnedFd, Failure> {
    above(fd, room).map_err(|error| {
        let message = format!("cannot move a descriptor above {room}: {}; raise the limit of open files", error.desc());
        Failure::new(ExitCode::HostResource, message)
    })
}

/// The old number is given up: `clear` closes it.
pub(super) fn above(fd: OwnedFd, room: i32) -> Result<OwnedFd, Errno> {
    if fd.as_raw_fd() >= room { Ok(fd) } else { sys::duplicate(fd.into_raw_fd(), room) }
}

/// Closes all between 3 and `room`: what was lifted from there, and what this process inherited, which the captured JVM did not
/// have.
pub(super) fn clear(room: i32) -> Result<(), Failure> {
    if room <= 3 || sys::close_range(3, room - 1).is_ok() {
        return Ok(());
    }
    for number in 3..room {
        match sys::close_number(number) {
            Ok(()) | Err(Errno::EBADF) => {}
            Err(error) => {
                let message = format!("cannot close inherited descriptor {number}: {}", error.desc());
                return Err(Failure::new(ExitCode::HostResource, message));
            }
        }
    }
    Ok(())
}
