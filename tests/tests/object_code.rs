//! The code that runs while threads are frozen: what its object code may refer to. A lock, an
//! allocator, a panic or a thread-local there would work in every other test, and hang one capture in a thousand.
#![deny(unsafe_code)]

use object::read::archive::ArchiveFile;
use object::{Object, ObjectSection, ObjectSymbol, SectionKind, SymbolSection};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the compiler may call by itself. They are leaf functions without state.
const COMPILER_CALLS: [&str; 5] = ["memcpy", "memmove", "memset", "memcmp", "bcmp"];

/// Builds the crate alone, as a release, where nobody else builds.
fn build() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = root.join("target/object-code");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--release", "--quiet", "-p", "hotfork-frozen", "--target-dir"])
        .arg(&target)
        .current_dir(&root)
        .status()
        .unwrap();
    assert!(status.success(), "hotfork-frozen does not build");
    target.join("release/libhotfork_frozen.rlib")
}

/// Calls `look` with each object file of the archive.
fn for_each_object(archive: &Path, mut look: impl FnMut(&str, &object::File<'_>)) {
    let data = std::fs::read(archive).unwrap();
    let mut objects = 0;
    for member in ArchiveFile::parse(&*data).unwrap().members() {
        let member = member.unwrap();
        let name = String::from_utf8_lossy(member.name()).into_owned();
        // The crate's metadata is a member too, and an object without code.
        if name.ends_with(".o") {
            look(&name, &object::File::parse(member.data(&*data).unwrap()).unwrap());
            objects += 1;
        }
    }
    assert!(objects > 0, "{} holds no object files", archive.display());
}

#[test]
fn frozen_code_refers_to_nothing_that_locks_allocates_or_panics() {
    let archive = build();
    let (mut defined, mut wanted) = (BTreeSet::new(), BTreeSet::new());
    for_each_object(&archive, |_, file| {
        for symbol in file.symbols() {
            let name = symbol.name().unwrap().to_string();
            if name.is_empty() || symbol.section() == SymbolSection::None && !symbol.is_undefined() {
                continue;
            }
            if symbol.is_undefined() {
                wanted.insert(name)
            } else {
                defined.insert(name)
            };
        }
    });
    assert!(defined.len() > 10, "the object code defines only {defined:?}");
    let foreign: Vec<_> = wanted.difference(&defined).filter(|name| !COMPILER_CALLS.contains(&name.as_str())).collect();
    assert!(foreign.is_empty(), "code that runs while threads are frozen refers to {foreign:?}");
}

#[test]
fn frozen_code_has_no_thread_locals() {
    for_each_object(&build(), |object, file| {
        for section in file.sections() {
            let thread_local = matches!(section.kind(), SectionKind::Tls | SectionKind::UninitializedTls);
            assert!(!thread_local || section.size() == 0, "{object} has thread-locals in {:?}", section.name());
        }
    });
}
