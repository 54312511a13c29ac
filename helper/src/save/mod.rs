//! Saving: the helper's part of a capture.
//!
//! ```text
//!  conversation  with the agent: what is refused, descriptors, the fork   (packets, preflight)
//!  captured      what the template says about itself                      (template)
//!  arenas        where glibc's malloc has its heaps, and what of them nobody has asked for
//!  areas         what becomes of each mapping
//!  dead_heap     free Java heap, which nobody misses
//!  dead_code     free blocks of the code cache, nor these
//!  dead_stacks   what lies below stack pointers, which nobody misses either
//!  pages         which pages go into the image
//!  repeated      long stretches of one byte, of which a part is enough
//!  first_pages   which of them every instance writes at once
//!  huge_pages    what of the free Java heap comes in huge pages
//!  operations    the restorer's operations, and where pages lie in the file
//!  image         pages written by the template, tables by us
//! ```

pub mod areas;
mod arenas;
mod captured;
mod conversation;
mod dead_code;
mod dead_heap;
mod dead_stacks;
mod entry;
pub mod first_pages;
pub mod huge_blocks;
mod huge_pages;
mod image;
pub mod kinds;
mod libraries;
pub mod operations;
mod order;
pub mod packets;
mod pages;
mod preflight;
mod repeated;
mod template;
mod vdso;

pub use packets::Packets;

use crate::exit::Failure;
use crate::report::{Report, Saved};
use std::path::{Path, PathBuf};

/// What whoever serves a capture adds to what the agent says.
pub struct Options<'a> {
    /// The image to write, in place of the agent's choice.
    pub image: Option<PathBuf>,
    /// It is there, and is taken again because its trial was poor.
    pub again: bool,
    /// Told how many bytes of how many are written.
    pub progress: &'a mut dyn FnMut(u64, u64),
}

/// What has become of a capture that did not fail.
pub enum Served {
    Saved(Saved),
    /// The new image is no better than the one that is there, which stays.
    Kept {
        why: String,
        /// Another one is being taken.
        again: bool,
    },
}

/// Serves one capture from the agent's greeting to the image in its place.
pub fn serve(agent: &Packets, options: Options) -> Result<Served, Failure> {
    conversation::hold(agent, options)
}

/// The image that was there stays, and its report.
pub fn settle_report(image: &Path) {
    if let Err(error) = crate::report::settle(image) {
        log::warn!("cannot write the report of {}: {error}", image.display());
    }
}

/// Comes before the last word to the agent: with `--exit` that word ends the JVM, and perhaps the whole container.
fn write_report(image: &Path, report: &Report) {
    if let Err(error) = report.write(image) {
        log::warn!("cannot write the report of {}: {error}", image.display());
    }
}
