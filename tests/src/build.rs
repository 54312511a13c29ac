//! Where the things under test lie: `./x test` has built them.

use crate::{Outcome, ensure};
use std::path::{Path, PathBuf};

pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository().join("target"), PathBuf::from)
}

pub fn helper() -> PathBuf {
    target().join("release/hotfork")
}

pub fn agent() -> PathBuf {
    target().join("release/libhotfork.so")
}

pub fn subjects_jar() -> PathBuf {
    repository().join("tests/subjects/target/subjects.jar")
}

/// Programs that are no subjects: tests/programs.
pub fn programs_jar() -> PathBuf {
    target().join("programs/programs.jar")
}

/// The Java interface, `dev.hotfork`.
pub fn interface_jar() -> PathBuf {
    repository().join("java/target/hotfork.jar")
}

/// Everything that this run of the tests writes lies below it.
pub fn scratch_of_this_run() -> PathBuf {
    target().join(format!("e2e/{}", std::process::id()))
}

/// Fails unless everything is there.
pub fn check() -> Outcome {
    for file in [helper(), agent(), subjects_jar(), programs_jar(), interface_jar()] {
        ensure!(file.is_file(), "{} is missing: run the end-to-end tests by ./x test, which builds it", file.display());
    }
    Ok(())
}
