//! eventfd, timerfd and epoll.

use super::{Subject, first_numbers};
use crate::descriptors::sys;
use crate::exit::{ExitCode, Failure};
use crate::image::manifest::{Descriptors, EpollEntry, Kind};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags};
use nix::sys::eventfd::{EfdFlags, EventFd};
use std::os::fd::OwnedFd;

/// Bits of an epoll entry that are no events. EPOLL_CTL_ADD sets EPOLLERR and EPOLLHUP in every entry, so
/// one that has nothing else is an EPOLLONESHOT entry that has fired.
const NO_EVENTS: u32 = (libc::EPOLLONESHOT | libc::EPOLLET | libc::EPOLLWAKEUP | libc::EPOLLEXCLUSIVE) as u32;

pub(super) fn eventfd(what: &Subject, count: u64, semaphore: bool) -> Result<OwnedFd, Failure> {
    let make = || {
        let mut flags = EfdFlags::EFD_CLOEXEC;
        flags.set(EfdFlags::EFD_SEMAPHORE, semaphore);
        flags.set(EfdFlags::EFD_NONBLOCK, what.flag(libc::O_NONBLOCK) != 0);
        let eventfd = EventFd::from_flags(flags)?;
        // The kernel's initial value has 32 bits, the counter 64.
        if count > 0 {
            eventfd.write(count)?;
        }
        Ok(OwnedFd::from(eventfd))
    };
    make().map_err(|error: Errno| what.failed(error))
}

pub(super) fn timer(
    what: &Subject,
    clock: i32,
    ticks: u64,
    value: (i64, i64),
    interval: (i64, i64),
) -> Result<OwnedFd, Failure> {
    let make = || {
        let timer = sys::timer_create(clock, what.flag(libc::O_NONBLOCK))?;
        // What is recorded is the time that remained, also of timers that were set to an absolute time.
        sys::timer_arm(&timer, value, interval)?;
        if ticks > 0 && sys::timer_set_ticks(&timer, ticks).is_err() {
            // A kernel without CONFIG_CHECKPOINT_RESTORE: let it expire at once, which tells one tick.
            sys::timer_arm(&timer, (0, 1), interval)?;
        }
        Ok(timer)
    };
    make().map_err(|error: Errno| what.failed(error))
}

pub(super) fn epoll(what: &Subject) -> Result<OwnedFd, Failure> {
    let set = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(|error| what.failed(error))?;
    Ok(set.0)
}

/// Registers everything, after all numbers are in their place.
pub(super) fn fill_epoll_sets(table: &Descriptors, made: &[OwnedFd]) -> Result<(), Failure> {
    for ((description, number), set) in table.descriptions.iter().zip(first_numbers(table)).zip(made) {
        let Kind::Epoll { entries } = &description.kind else { continue };
        let what = Subject { number, description };
        let (fired, armed): (Vec<_>, Vec<_>) = entries.iter().partition(|entry| entry.events & !NO_EVENTS == 0);
        if !fired.is_empty() {
            // Adding them arms them for EPOLLERR and EPOLLHUP: those that are ready fire here, not in the instance.
            fired.into_iter().try_for_each(|entry| add(&what, set, entry))?;
            sys::epoll_drain(set).map_err(|error| what.failed(error))?;
        }
        armed.into_iter().try_for_each(|entry| add(&what, set, entry))?;
    }
    Ok(())
}

fn add(what: &Subject, set: &OwnedFd, entry: &EpollEntry) -> Result<(), Failure> {
    sys::epoll_add(set, entry.fd, entry.events, entry.data).map_err(|error| match error {
        Errno::EPERM => what.fail(
            ExitCode::DoesNotFit,
            format_args!(
                "the epoll set watches descriptor {}, which now is a file that cannot be watched; give it a terminal or a pipe",
                entry.fd
            ),
        ),
        Errno::ENOSPC => what.fail(
            ExitCode::HostResource,
            "this user watches as many descriptors as fs.epoll.max_user_watches allows; raise it",
        ),
        error => what.failed(error),
    })
}
