//! From a prepared restore to the jump.
//!
//! # Safety contract of this file
//! `unsafe` is used once, to enter the restorer, after everything that it relies on was checked.
#![allow(unsafe_code)]

use super::arguments::{self, Arguments};
use super::perf::{self, PerfFile};
use super::scaffold::{self, Operations};
use super::space::Space;
use super::{Prepared, own_descriptors, rseq};
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

    fn try_become(mut self, perf: Option<PerfFile>) -> Result<Infallible, Failure> {
        let room = descriptors::make_room(&self.image.manifest.descriptors)?;
        let mut args = Arguments {
            space: &self.space,
            entry: &self.image.manifest.entry,
            start: self.start,
            perf_path: perf.as_ref().map(|perf| perf.path.as_path()),
            checked: self.checked,
            nap: self.options.nap,
            close_from: room,
        }
        .fill();
        let mut operations = match self.copied_code.take() {
            Some(list) => Operations::Changed(list),
            None => Operations::Mapped(self.image.tail),
        };
        let manifest = self.image.manifest;
        if let Some(perf) = &perf {
            perf.use_in(operations.as_mut_slice(), &manifest, FILE_IMAGE + 1 + manifest.files.len() as u32);
        }

        nix::unistd::chdir(&manifest.cwd).map_err(|error| {
            resource(format!("the JVM's working directory {}: {error}; create it", manifest.cwd.display()))
        })?;
        let lift = |file: File| descriptors::lift(OwnedFd::from(file), room);
        let image = lift(self.image.file)?;
        let times = self.times.map(lift).transpose()?;
        let mapped = self.files.into_iter().map(lift).collect::<Result<Vec<_>, _>>()?;
        let perf = perf.map(|perf| lift(perf.file)).transpose()?;
        let rebuilt = descriptors::rebuild(&manifest.descriptors, room, image.as_fd(), &self.moves)?;
        if let Some(perf) = &perf {
            for number in &rebuilt.perf_data {
                own_descriptors::place(perf.as_fd(), number)
                    .map_err(|error| resource(format!("descriptor {}: {error}; raise ulimit -n", number.fd)))?;
            }
        }
        for line in &rebuilt.lines {
            say::note(self.options.quiet, line);
        }
        args.instance.times[TIME_DESCRIPTORS] = clocks::monotonic();
        args.instance.times_fd = times.as_ref().map_or(-1, |file| i64::from(file.as_raw_fd()));

        let files: Vec<i32> = std::iter::once(&image).chain(&mapped).chain(&perf).map(AsRawFd::as_raw_fd).collect();
        args.file_count = files.len() as u64;
        arguments::tell_operations(&mut args, operations.as_slice());
        let auxv = &manifest.entry.memory_map.auxv;
        let Space { hole, layout, environment, .. } = &self.space;
        scaffold::build(*hole, layout, &environment.bytes, operations, &files, auxv)
            .map_err(|error| resource(format!("{} KB for the restorer: {error}; free memory", layout.end >> 10)))?;
        rseq::unregister().map_err(|error| {
            resource(format!("the rseq area cannot be unregistered: {error}; set GLIBC_TUNABLES=glibc.pthread.rseq=0"))
        })?;
        args.instance.times[TIME_JUMP] = clocks::monotonic();
        // SAFETY: `build` made the hole that `args` describes; operations, patches and the vdso's moves were
        // checked when the restore was prepared; hotfork has one thread, which blocked all signals at its start
        // and has just unregistered its rseq area.
        unsafe { scaffold::enter(*hole, layout, &args) }
    }
}

fn resource(message: String) -> Failure {
    Failure::new(ExitCode::HostResource, message)
}
