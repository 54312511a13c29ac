//! Rebuilding a recorded table in the process that becomes the instance.
//!
//! Every description is made first and kept above all recorded numbers, then placed at its numbers, and
//! epoll sets are filled last, when everything that they watch is in its place. A number that cannot be
//! rebuilt is an error: left free, it would go to whoever opens something next.

mod event;
mod file;
mod listener;
pub mod moves;
mod pipe;
pub mod room;
mod socket;

use super::sys;
use crate::exit::{ExitCode, Failure};
use crate::image::manifest::{Description, Descriptors, Kind, Number};
use listener::Listeners;
use moves::PortMoves;
use nix::errno::Errno;
use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd, OwnedFd};

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// One for each moved listener, for the user.
    pub lines: Vec<String>,
    /// Numbers of the hsperfdata file: /dev/null stands there, the instance's own file may take its place.
    pub perf_data: Vec<Number>,
}

/// Makes the descriptors of this process those of `table`, 0 to 2 excepted. What else is open below `room`, which
/// `make_room(table)` said, is closed, so the caller has lifted its own descriptors, `image` among them. From `room` up the
/// descriptions stay open once more.
pub fn rebuild(table: &Descriptors, room: i32, image: BorrowedFd<'_>, moves: &PortMoves) -> Result<Rebuilt, Failure> {
    check(table)?;
    moves.check(table)?;
    assert!(image.as_raw_fd() >= room, "the image's own descriptor stands where the table goes");
    room::clear(room)?;
    let (made, lines) = make_all(table, image, moves, room)?;
    // What was made below `room` has been lifted.
    room::clear(room)?;
    place(table, &made)?;
    event::fill_epoll_sets(table, &made)?;
    // The restorer closes all from `room` up in one call.
    made.into_iter().for_each(|fd| _ = fd.into_raw_fd());
    Ok(Rebuilt { lines, perf_data: perf_data(table) })
}

/// All descriptions, above `room`, and the lines for the user. Below `room` stands what was lifted from there.
fn make_all(
    table: &Descriptors,
    image: BorrowedFd<'_>,
    moves: &PortMoves,
    room: i32,
) -> Result<(Vec<OwnedFd>, Vec<String>), Failure> {
    let mut listeners = Listeners::new(moves);
    let mut pipes = pipe::Pipes::new(&table.pipes);
    let mut carried = file::CarriedFiles::new(&table.contents, image);
    let mut made = Vec::with_capacity(table.descriptions.len());
    for (description, number) in table.descriptions.iter().zip(first_numbers(table)) {
        let what = Subject { number, description };
        let fd = match &description.kind {
            Kind::Standard { number } => sys::duplicate(*number, room).map_err(|error| what.failed(error))?,
            Kind::Regular { .. } | Kind::Directory { .. } | Kind::Device { .. } | Kind::PerfData => file::open(&what)?,
            Kind::Carried { content, .. } => carried.open(&what, *content)?,
            Kind::PipeEnd { pipe, write } => pipes.end(&what, *pipe, *write)?,
            Kind::EventFd { count, semaphore } => event::eventfd(&what, *count, *semaphore)?,
            Kind::TimerFd { clock, ticks, value, interval, .. } => {
                event::timer(&what, *clock, *ticks, *value, *interval)?
            }
            Kind::Epoll { .. } => event::epoll(&what)?,
            Kind::TcpListener { address, v6only, options, backlog } => {
                listeners.tcp(&what, address, *v6only, options, *backlog)?
            }
            Kind::UnixListener { address, socket_type, backlog } => {
                listener::unix(&what, address, *socket_type, *backlog)?
            }
            Kind::DeadSocket { .. } | Kind::DeadPair { .. } | Kind::FreshSocket { .. } | Kind::AttachListener => {
                socket::make(&what)?
            }
        };
        made.push(room::above(fd, room).map_err(|error| what.failed(error))?);
    }
    Ok((made, listeners.into_lines()))
}

/// What an error line speaks of.
struct Subject<'a> {
    number: i32,
    description: &'a Description,
}

impl Subject<'_> {
    fn flag(&self, flag: i32) -> i32 {
        self.description.flags & flag
    }

    fn fail(&self, code: ExitCode, why: impl std::fmt::Display) -> Failure {
        Failure::new(code, format!("cannot rebuild descriptor {}: {why}", self.number))
    }

    /// A system call that fails only when the host is short of something.
    fn failed(&self, error: Errno) -> Failure {
        let remedy = match error {
            Errno::EMFILE | Errno::ENFILE => "raise the limit of open files (ulimit -n)",
            Errno::ENOMEM | Errno::ENOBUFS | Errno::ENOSPC => "free some memory",
            _ => "this host or sandbox does not allow what the image needs",
        };
        self.fail(ExitCode::HostResource, format_args!("{}; {remedy}", error.desc()))
    }
}

/// References inside the table are as sound as the image's digest; this guards against our own mistakes.
fn check(table: &Descriptors) -> Result<(), Failure> {
    let damaged = |what: String| {
        let message = format!("the image's descriptor table is not sound: {what}; take the image again");
        Err(Failure::new(ExitCode::ImageDamaged, message))
    };
    for number in &table.numbers {
        match table.descriptions.get(number.description as usize) {
            None => return damaged(format!("number {} has no description", number.fd)),
            Some(description) if (0..=2).contains(&number.fd) && !matches!(description.kind, Kind::Standard { .. }) => {
                return damaged(format!("number {} is not the restorer's", number.fd));
            }
            Some(_) if number.fd < 0 => return damaged(format!("number {}", number.fd)),
            Some(_) => {}
        }
    }
    for description in &table.descriptions {
        match &description.kind {
            Kind::Standard { number } if !(0..=2).contains(number) => return damaged(format!("standard {number}")),
            Kind::PipeEnd { pipe, .. } if *pipe as usize >= table.pipes.len() => {
                return damaged(format!("pipe {pipe}"));
            }
            Kind::Carried { content, .. } if *content as usize >= table.contents.len() => {
                return damaged(format!("content {content}"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Of each description, for error lines.
fn first_numbers(table: &Descriptors) -> Vec<i32> {
    let mut first = vec![-1; table.descriptions.len()];
    for number in table.numbers.iter().rev() {
        first[number.description as usize] = number.fd;
    }
    first
}

fn place(table: &Descriptors, made: &[OwnedFd]) -> Result<(), Failure> {
    for number in &table.numbers {
        let index = number.description as usize;
        let what = Subject { number: number.fd, description: &table.descriptions[index] };
        if number.fd > 2 {
            sys::place(&made[index], number.fd, number.close_on_exec).map_err(|error| what.failed(error))?;
        } else {
            // The restorer's own; whether children inherit it is the application's choice.
            let flags = if number.close_on_exec { libc::FD_CLOEXEC } else { 0 };
            sys::set_descriptor_flags(number.fd, flags).map_err(|error| what.failed(error))?;
        }
    }
    Ok(())
}

fn perf_data(table: &Descriptors) -> Vec<Number> {
    let is_perf_data = |number: &&Number| table.descriptions[number.description as usize].kind == Kind::PerfData;
    table.numbers.iter().filter(is_perf_data).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(fd: i32, description: u32, kind: Kind) -> Descriptors {
        Descriptors {
            numbers: vec![Number { fd, description, close_on_exec: true }],
            descriptions: vec![Description { flags: 0, kind }],
            ..Default::default()
        }
    }

    #[test]
    fn an_unsound_table_is_refused() {
        let bad = [
            (table(5, 1, Kind::PerfData), "number 5 has no description"),
            (table(1, 0, Kind::PerfData), "number 1 is not the restorer's"),
            (table(-7, 0, Kind::PerfData), "number -7"),
            (table(5, 0, Kind::Standard { number: 3 }), "standard 3"),
            (table(5, 0, Kind::PipeEnd { pipe: 0, write: true }), "pipe 0"),
            (table(5, 0, Kind::Carried { path: "/x".into(), offset: 0, content: 9 }), "content 9"),
        ];
        for (table, what) in bad {
            let failure = check(&table).unwrap_err();
            assert_eq!(failure.code, ExitCode::ImageDamaged);
            let line = format!("the image's descriptor table is not sound: {what}; take the image again");
            assert_eq!(failure.message, line);
        }
    }

    #[test]
    fn the_numbers_of_the_performance_file_are_told() {
        let table = table(5, 0, Kind::PerfData);
        assert_eq!(perf_data(&table), table.numbers);
    }
}
