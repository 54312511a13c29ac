//! A directory for one test, outside the temporary directory (whose files an image would carry).

use crate::{During, Outcome, build};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

static NEXT: AtomicU32 = AtomicU32::new(0);

pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    pub fn new() -> Outcome<Self> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = build::scratch_of_this_run().join(number.to_string());
        std::fs::create_dir_all(&path).during(format_args!("make {}", path.display()))?;
        Ok(Self { path })
    }

    /// The names in it, sorted.
    pub fn names(&self) -> Outcome<Vec<String>> {
        names(&self.path)
    }
}

/// The names in a directory, sorted.
pub fn names(directory: &Path) -> Outcome<Vec<String>> {
    let entries = std::fs::read_dir(directory).during(format_args!("list {}", directory.display()))?;
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    Ok(names)
}

/// For whoever wants to look at what a test wrote.
pub fn kept() -> bool {
    std::env::var_os("HOTFORK_TEST_KEEP").is_some()
}

impl Deref for Scratch {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !kept() {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}
