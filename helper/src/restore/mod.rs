//! Restore: this process becomes the JVM of an image, as with exec.
//!
//! [`Prepared::new`] asks everything that can fail and changes nothing but the soft limit of open
//! files. [`Prepared::become_instance`] rebuilds descriptors, fills the hole, and jumps: it returns
//! only when that fails.

mod advice;
mod ahead;
mod arguments;
mod entry;
mod environment;
pub mod fit;
mod hole;
mod instance;
pub mod mapped_files;
mod operations;
pub use operations::{is_read_only_file, merge as merged};
mod own_descriptors;
mod perf;
mod places;
pub mod refusal;
mod rseq;
mod scaffold;
mod space;
pub mod start;
mod vdso;

use crate::descriptors::{self, PortMove, PortMoves};
use crate::exit::{ExitCode, Failure};
use crate::host::clocks;
use crate::image::read::Image;
use crate::say;
use refusal::{Reason, Refusal};
use scaffold::Scaffold;
pub use scaffold::denies_write_execute;
use space::Space;
use start::Start;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;
use vdso::HostPlan;

#[derive(Debug, Default)]
pub struct Options {
    pub moves: Vec<PortMove>,
    pub environment: Vec<(OsString, OsString)>,
    pub verify: bool,
    pub trust_owner: Option<u32>,
    pub quiet: bool,
    pub times: Option<PathBuf>,
    /// What the application appends to files is thrown away.
    pub discard_writes: bool,
    /// Pages are brought in when they are touched.
    pub no_prefetch: bool,
    /// What `System.nanoTime` has gone on by.
    pub nap: Duration,
}

/// An image that fits, and all that is needed to become it.
pub struct Prepared {
    image: Image,
    options: Options,
    start: Start,
    scaffold: Scaffold,
    /// In the scaffold: more than in the image where code is copied.
    operation_count: usize,
    /// There is one that carries the operations out.
    second_thread: bool,
    /// Open for the operations.
    _files: Vec<OwnedFd>,
    /// The first number above those of the image.
    room: i32,
    times: Option<File>,
    moves: PortMoves,
    space: Space,
    host: HostPlan,
    /// What of this process the instance unmaps.
    left_behind: Vec<Range<u64>>,
    checked: u64,
}

impl Prepared {
    pub fn new(path: &Path, options: Options, start: Start) -> Result<Self, Refusal> {
        let image = Image::open(path, options.trust_owner)?;
        Self::of(image, options, start).map_err(|mut refusal| {
            refusal.failure.message = format!("image {}: {}", path.display(), refusal.failure.message);
            refusal
        })
    }

    fn of(image: Image, options: Options, start: Start) -> Result<Self, Refusal> {
        let mut image = image;
        if options.discard_writes {
            image.manifest.descriptors.discard_writes();
        }
        if options.no_prefetch {
            image
                .tail
                .operations_mut()
                .iter_mut()
                .filter(|one| operations::is_prefetch(one))
                .for_each(operations::drop);
        }
        let moves = PortMoves::new(options.moves.clone())?;
        moves.check(&image.manifest.descriptors)?;
        let occupied = check_operations(&image)?;
        if options.verify {
            image.verify_pages()?;
        }
        for (_, question) in fit::LIMITS {
            question(&image)?;
        }
        let copy_code = fit::must_copy_code(&image)?;
        let space = Space::find(&image, &occupied, &options.environment, copy_code)?;
        // From here on the image's descriptors have the numbers that the second thread goes by.
        let room = descriptors::make_room(&image.manifest.descriptors)?;
        image.file = descriptors::lift(OwnedFd::from(image.file), room)?.into();
        descriptors::widen(image.file.as_fd(), room, &image.manifest.descriptors, image.manifest.files.len());
        let (scaffold, operation_count) = build(&space, &mut image, copy_code).map_err(|error| {
            let remedy = match error.kind() {
                io::ErrorKind::AlreadyExists => "try again, this process lies elsewhere each time",
                _ => "free memory",
            };
            Refusal::resource(format!("{} KB for the restorer: {error}; {remedy}", space.layout.end >> 10))
        })?;
        let second_thread = ahead::begin(&scaffold, &space.zones, operation_count);
        // Right now, while there are few mappings to read of.
        let maps = places::own_mappings()?;
        let host = HostPlan::of(&image, &occupied, &maps, scaffold.at(space.layout.host))?;
        let left_behind = places::left_behind(&maps, &space, &host.place)?;
        let mut files = Vec::with_capacity(image.manifest.files.len());
        for (index, file) in image.manifest.files.iter().enumerate() {
            let file = descriptors::lift(OwnedFd::from(mapped_files::open(file)?), room)?;
            scaffold.place_file(1 + index, file.as_raw_fd());
            ahead::files_open(&scaffold, 2 + index);
            files.push(file);
        }
        if second_thread {
            ahead::share_threads(&scaffold, image.manifest.entry.instance_others);
        }
        check_reads(&image)?;
        for (_, question) in fit::TASKS {
            question(&image, second_thread.into())?;
        }
        for (_, question) in fit::QUESTIONS {
            question(&image)?;
        }
        let times = options.times.as_deref().map(open_times).transpose()?;
        // Not looked for where nobody would hear it.
        if !options.quiet
            && let Some(warning) = fit::memory_warning(&image)
        {
            say::note(false, &warning);
        }
        let checked = clocks::monotonic();
        Ok(Self {
            image,
            options,
            start,
            scaffold,
            operation_count,
            second_thread,
            _files: files,
            room,
            times,
            moves,
            space,
            host,
            left_behind,
            checked,
        })
    }

    /// The image, for whoever wants to compare more before it becomes real.
    pub fn image(&self) -> &Image {
        &self.image
    }
}

/// Puts into the hole what the operations need, and says how many they are.
fn build(space: &Space, image: &mut Image, copy_code: bool) -> io::Result<(Scaffold, usize)> {
    let scaffold = Scaffold::reserve(space.hole, space.layout)?;
    scaffold.place_file(0, image.file.as_raw_fd());
    let count = if copy_code {
        let patched = vdso::entry_points(&image.manifest.entry.vdso);
        let list = operations::without_executable_image_pages(image.operations(), &patched);
        scaffold.place_operations(&list);
        list.len()
    } else {
        scaffold.take_in(&mut image.tail)?;
        image.operations().len()
    };
    Ok((scaffold, count))
}

/// Refuses operations that the restorer could not carry out.
/// What they occupy, if each makes sense.
fn check_operations(image: &Image) -> Result<Vec<Range<u64>>, Refusal> {
    let (operations, files) = (image.operations(), image.manifest.files.len());
    if let Some(index) = operations::first_unsound(operations, &image.header, files) {
        return Err(damaged(index));
    }
    let occupied = operations::occupied(operations);
    match advice::first_unsound(operations, &occupied, &image.manifest) {
        Some(index) => Err(damaged(index)),
        None => Ok(occupied),
    }
}

/// Refuses to read ahead where that would kill this process. Asked when the second thread is at work: what is read is the first one's matter.
fn check_reads(image: &Image) -> Result<(), Refusal> {
    match advice::first_unreadable(image.operations(), &image.manifest) {
        Some(index) => Err(damaged(index)),
        None => Ok(()),
    }
}

fn damaged(index: usize) -> Refusal {
    Refusal::damaged(format!("is damaged: map operation {index} makes no sense; take it again"))
}

fn open_times(path: &Path) -> Result<File, Refusal> {
    OpenOptions::new().append(true).create(true).open(path).map_err(|error| Refusal {
        reason: Reason::Error,
        failure: Failure::new(
            ExitCode::Usage,
            format!("--times {}: cannot be opened: {error}; name a file that can be written", path.display()),
        ),
    })
}

/// Everything that a restore asks, all answers, and the pages besides: for `check`.
pub fn findings(image: &Image) -> Vec<(String, Result<(), Refusal>)> {
    let operations = check_operations(image).and_then(|_| check_reads(image));
    let mut findings = vec![("operations".to_owned(), operations)];
    findings.extend(fit::LIMITS.map(|(name, question)| (name.to_owned(), question(image))));
    findings.extend(fit::TASKS.map(|(name, question)| (name.to_owned(), question(image, 0))));
    findings.extend(fit::QUESTIONS.map(|(name, question)| (name.to_owned(), question(image))));
    let mut files_fit = true;
    for file in &image.manifest.files {
        if let Err(refusal) = mapped_files::open(file) {
            files_fit = false;
            findings.push(("mapped files".to_owned(), Err(refusal)));
        }
    }
    if files_fit {
        findings.push(("mapped files".to_owned(), Ok(())));
    }
    let occupied = operations::occupied(image.operations());
    let space = fit::must_copy_code(image).and_then(|copy| Space::find(image, &occupied, &[], copy));
    let host = space
        .and_then(|space| HostPlan::of(image, &occupied, &places::own_mappings()?, space.hole + space.layout.host));
    findings.push(("address range".to_owned(), host.map(drop)));
    findings.push(("pages".to_owned(), image.verify_pages().map_err(Refusal::from)));
    findings
}
