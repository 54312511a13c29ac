//! Recording a descriptor table from outside, while the JVM is frozen.
//!
//! Paths, options and counters are read through duplicates that the JVM sent; what only the JVM's own
//! table knows (close-on-exec, POSIX locks) through /proc/PID/fdinfo. All duplicates are closed before
//! `record` returns: one that lives on would keep the application's close(2) from taking effect.

mod children;
pub mod contents;
pub(super) mod file;
mod pipe;
mod refusal;
mod seen;
mod sharing;
mod socket;
mod table;

use super::class::Class;
use super::options::Defaults;
use super::sys;
use crate::exit::{ExitCode, Failure};
use crate::image::manifest::Descriptors;
use contents::Contents;
use file::Places;
use refusal::{Refusal, Refusals};
use seen::{Seen, View};
use sharing::Comparison;
use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// Made before the freeze; knows what does not change.
pub struct Recorder {
    pid: i32,
    own: Vec<i32>,
    view: View,
    places: Places,
    comparison: Comparison,
    defaults: Defaults,
}

/// A recorded table. `descriptors.contents` has the lengths; whoever writes the image writes each of
/// `contents` and sets the offset of the same index.
pub struct Recorded {
    pub descriptors: Descriptors,
    pub contents: Vec<Contents>,
}

impl Recorder {
    /// `pid` as this process sees it; `own` are the agent's descriptors, which are no part of the
    /// application; `temporary` are directories to treat like /tmp and $TMPDIR (java.io.tmpdir).
    pub fn new(pid: i32, own: &[i32], temporary: Vec<PathBuf>) -> Result<Self, Failure> {
        Ok(Self {
            pid,
            own: own.to_vec(),
            view: View::of(pid)?,
            places: Places::of(pid, temporary)?,
            comparison: Comparison::find()?,
            defaults: Defaults::of_this_host(),
        })
    }

    /// Jars that the command names are not temporary, wherever they lie.
    pub fn with_class_path(mut self, class_path: Vec<PathBuf>) -> Self {
        // Links in /proc have no symbolic links in them.
        self.places.class_path = class_path.into_iter().filter_map(|path| path.canonicalize().ok()).collect();
        self
    }

    /// What can be refused without touching the JVM is refused here.
    pub fn preflight(&mut self) -> Result<(), Failure> {
        children::refuse_running(self.pid)?;
        let mut refusals = Refusals::default();
        let mut standard = Vec::new();
        for number in self.view.numbers()? {
            // Between listing and looking the application may have closed it.
            let seen = if self.own.contains(&number) { None } else { self.view.look_from_outside(number)? };
            let Some(seen) = seen else { continue };
            let inode = (seen.stat.st_dev, seen.stat.st_ino);
            let looked = if number <= 2 {
                standard.push(inode);
                table::check_standard(&seen)
            } else if standard.contains(&inode) {
                // Perhaps another number of stdin, stdout or stderr: only duplicates can tell.
                Ok(())
            } else {
                self.early_look(&seen)
            };
            if let Err(refusal) = looked {
                refusals.add(number, refusal);
            }
        }
        refusals.into_result()
    }

    fn early_look(&self, seen: &Seen) -> Result<(), Refusal> {
        match &seen.class {
            class if seen::is_file(class) => file::judge(seen, &self.places).map(drop),
            Class::Socket => self.early_look_at_socket(seen),
            class => table::refuse_kind(class, seen),
        }
    }

    fn early_look_at_socket(&self, seen: &Seen) -> Result<(), Refusal> {
        let path = CString::new(format!("/proc/{}/fd/{}", self.pid, seen.number)).unwrap_or_default();
        // Where the kernel does not tell, or the socket is gone, `record` decides.
        let Ok(protocol) = sys::socket_protocol_name(&path) else { return Ok(()) };
        if protocol.starts_with("TCP") || protocol.starts_with("UNIX") {
            return Ok(());
        }
        // It is refused in any case: a moment's duplicate can only make the message better.
        match sys::borrow_from(self.pid, seen.number) {
            Ok(duplicate) => socket::record(&duplicate, &self.defaults, &self.places.cwd).map(drop),
            Err(_) => Err(Refusal::close(format!("a {protocol} socket"))),
        }
    }

    /// Takes the numbers of the frozen JVM, each with a duplicate.
    pub fn record(&mut self, descriptors: Vec<(i32, OwnedFd)>) -> Result<Recorded, Failure> {
        children::refuse_running(self.pid)?;
        let mut table = Vec::with_capacity(descriptors.len());
        for (number, duplicate) in descriptors {
            if !self.own.contains(&number) {
                table.push((self.view.look(number, &duplicate)?, duplicate));
            }
        }
        table.sort_by_key(|(seen, _)| seen.number);
        table::build(&table, &self.places, self.comparison, &self.defaults)
    }
}

fn failed(what: impl std::fmt::Display, why: impl std::fmt::Display) -> Failure {
    Failure::new(
        ExitCode::CaptureFailed,
        format!("cannot record the descriptors: {what}: {why}; capture as the user that the JVM runs as"),
    )
}
