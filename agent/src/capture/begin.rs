//! What a capture begins with: where the helper is, and what it is told.

use super::CaptureError;
use crate::options::Options;
use hotfork_abi::capture::{BEGIN, Begin};
use hotfork_abi::warm::Evidence;
use hotfork_abi::{ABI_VERSION, Plain, Text, VERSION};
use std::path::{Path, PathBuf};

/// Why an image is taken now, for whoever looks at it later.
#[derive(Clone)]
pub struct Occasion {
    pub words: String,
    /// What was done for it before, in words.
    pub rest: String,
    /// What the detector saw, all zero where nobody asked it.
    pub evidence: Evidence,
    pub again: Again,
}

/// About an image that takes the place of one whose trial was poor.
#[derive(Clone, Copy, Default)]
pub struct Again {
    /// What that trial cost, 0 where there is no such image.
    pub better_than: u64,
    /// How often a poor one will be taken again after this.
    pub tries_left: u32,
}

impl Occasion {
    pub fn new(words: impl Into<String>) -> Self {
        Self { words: words.into(), rest: String::new(), evidence: Evidence::zeroed(), again: Again::default() }
    }
}

/// The helper: option `helper=`, else `hotfork` beside the agent's library, else `../bin/hotfork` from there.
pub fn helper_path(options: &Options) -> Result<PathBuf, CaptureError> {
    if let Some(path) = &options.helper {
        return Ok(path.clone());
    }
    let library = library_path()?;
    let directory = library.parent().unwrap_or(Path::new("/"));
    [directory.join("hotfork"), directory.join("../bin/hotfork")]
        .into_iter()
        .find(|path| path.is_file())
        .ok_or_else(|| CaptureError::NoHelper(directory.display().to_string()))
}

/// Path of this library, from the mapping that holds its code.
pub fn library_path() -> Result<PathBuf, CaptureError> {
    let here = library_path as *const () as usize;
    let maps = std::fs::read_to_string("/proc/self/maps")
        .map_err(|error| CaptureError::System { what: "reading /proc/self/maps", reason: error.to_string() })?;
    maps.lines()
        .find_map(|line| {
            let (range, rest) = line.split_once(' ')?;
            let (from, to) = range.split_once('-')?;
            let from = usize::from_str_radix(from, 16).ok()?;
            let to = usize::from_str_radix(to, 16).ok()?;
            (from..to).contains(&here).then(|| rest.find('/').map(|at| PathBuf::from(&rest[at..]))).flatten()
        })
        .ok_or_else(|| CaptureError::NoHelper("the agent's own mapping".into()))
}

pub fn begin(options: &Options, occasion: &Occasion, own_descriptors: &[i32]) -> Result<Begin, CaptureError> {
    let image = options.image.as_deref().ok_or(CaptureError::NoImage)?;
    let image = std::path::absolute(image)
        .map_err(|error| CaptureError::System { what: "finding the image's directory", reason: error.to_string() })?;
    let library = library_path()?;
    let mut begin = Begin {
        kind: BEGIN,
        abi_version: ABI_VERSION,
        pid: std::process::id() as i32,
        mode: options.mode,
        max_stop: options.max_stop.as_nanos() as u64,
        better_than: occasion.again.better_than,
        tries_left: occasion.again.tries_left.into(),
        version: Text::new(VERSION),
        image: path_text(&image)?,
        agent: path_text(&library)?,
        occasion: Text::new(&occasion.words),
        rest: Text::new(&occasion.rest),
        trial: Text::new(&options.trials().join("\n")),
        evidence: occasion.evidence,
        own_descriptors: [-1; 8],
    };
    for (place, &number) in begin.own_descriptors.iter_mut().zip(own_descriptors) {
        *place = number;
    }
    debug_assert_eq!(begin.as_bytes().len(), size_of::<Begin>());
    Ok(begin)
}

fn path_text(path: &Path) -> Result<Text<4096>, CaptureError> {
    path.to_str().filter(|text| Text::<4096>::fits(text)).map(Text::new).ok_or_else(|| CaptureError::System {
        what: "passing a path to the helper",
        reason: format!("{} is not text or too long", path.display()),
    })
}
