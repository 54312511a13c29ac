//! From a prepared restore to the jump.
//!
//! # Safety contract of this file
//! `unsafe` is used once, to enter the restorer, after everything that it relies on was checked.
#![allow(unsafe_code)]

use super::arguments::Arguments;
use super::perf::{self, PerfFile};
use super::{Prepared, entry, own_descriptors, rseq};
use crate::descriptors;
use crate::exit::{ExitCode, Failure};
use crate::host::clocks;
use crate::say;
use hotfork_abi::restore::{FILE_IMAGE, TIME_DESCRIPTORS, TIME_JUMP};
use std::convert::Infallible;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

impl Prepared {
    /// Becomes the JVM. Returns only if that fails before the first unmap.
    pub fn become_instance(self) -> Failure {
        perf::remove_stale_attach_socket();
        let perf = self.perf_file();
        let created = perf.as_ref().map(|perf| perf.path.clone());
        let Err(failure) = self.try_become(perf);
        if let Some(path) = created {
            // If even this fails: this user's next JVM removes what no living process has.
            let _ = std::fs::remove_file(path);
        }
        failure
    }

    fn perf_file(&self) -> Option<PerfFile> {
        if self.image.manifest.entry.perf_address == 0 {
            return None;
        }
        PerfFile::create(&self.image)
            .inspect_err(|why| say::note(self.options.quiet, &format!("jps will not list this JVM: {why}")))
            .ok()
    }

    fn try_become(self, perf: Option<PerfFile>) -> Result<Infallible, Failure> {
        let Self { image, scaffold, room, .. } = self;
        let manifest = &image.manifest;
        let perf_number = FILE_IMAGE + 1 + manifest.files.len() as u32;
        let mut args = Arguments {
            space: &self.space,
            host: &self.host,
            left_behind: &self.left_behind,
            scaffold: &scaffold,
            operation_count: self.operation_count,
            last: perf.as_ref().and_then(|perf| perf.operation(image.operations(), manifest, perf_number)),
            second_thread: self.second_thread,
            entry: &manifest.entry,
            start: self.start,
            perf_path: perf.as_ref().map(|perf| perf.path.as_path()),
            checked: self.checked,
            nap: self.options.nap,
            close_from: room,
        }
        .fill();
        nix::unistd::chdir(&manifest.cwd).map_err(|error| {
            resource(format!("the JVM's working directory {}: {error}; create it", manifest.cwd.display()))
        })?;
        let lift = |file: File| descriptors::lift(OwnedFd::from(file), room);
        let times = self.times.map(lift).transpose()?;
        let perf = perf.map(|perf| lift(perf.file)).transpose()?;
        let rebuilt = descriptors::rebuild(&manifest.descriptors, room, image.file.as_fd(), &self.moves)?;
        if let Some(perf) = &perf {
            for number in &rebuilt.perf_data {
                own_descriptors::place(perf.as_fd(), number)
                    .map_err(|error| resource(format!("descriptor {}: {error}; raise ulimit -n", number.fd)))?;
            }
            scaffold.place_file(perf_number as usize, perf.as_raw_fd());
        }
        for line in &rebuilt.lines {
            say::note(self.options.quiet, line);
        }
        args.instance.times[TIME_DESCRIPTORS] = clocks::monotonic();
        args.instance.times_fd = times.as_ref().map_or(-1, |file| i64::from(file.as_raw_fd()));
        scaffold.place_environment(&self.space.environment.bytes, &manifest.entry.memory_map.auxv);
        rseq::unregister().map_err(|error| {
            resource(format!("the rseq area cannot be unregistered: {error}; set GLIBC_TUNABLES=glibc.pthread.rseq=0"))
        })?;
        args.instance.times[TIME_JUMP] = clocks::monotonic();
        scaffold.place_arguments(&args);
        // SAFETY: the scaffold was built when the restore was prepared, for operations, patches and moves of the vdso that were
        // checked then, and is complete with the arguments. hotfork has one thread, and the one that carries operations
        // out; it blocked all signals at its start and has just unregistered its rseq area.
        unsafe { entry::enter(&scaffold) }
    }
}

fn resource(message: String) -> Failure {
    Failure::new(ExitCode::HostResource, message)
}
