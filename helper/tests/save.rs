//! A whole image from a stand-in for a JVM: the test program, started again, speaks the agent's and the template's
//! parts of the protocol, and the real `hotfork` writes the image, checks it, and becomes it.
#![allow(unsafe_code)]

#[path = "save/jvm.rs"]
mod jvm;

use hotfork_abi::PAGE;
use hotfork_abi::restore::{
    FILE_IMAGE, MapOperation, OP_ADVISE, OP_ANONYMOUS, OP_COPY, OP_PRIVATE_FILE, OP_SHARED_FILE,
};
use hotfork_helper::image::read::Image;
use jvm::{CARRIED, COPIED, FILE, HEAP, HEAP_PAGES, HIDDEN, SEVENS, SHARED, WIPED};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("save-{name}-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(&self.0)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

/// Runs the stand-in, which captures itself. What it was told is its output's last line.
fn capture(scratch: &Scratch, fault: &str) -> Output {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "jvm::stand_in", "--ignored", "--nocapture"])
        .env("STAND_IN", &scratch.0)
        .env("STAND_IN_FAULT", fault)
        .env("STAND_IN_HELPER", env!("CARGO_BIN_EXE_hotfork"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

fn told(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find_map(|line| line.split_once("TOLD ").map(|(_, told)| told.to_owned()));
    line.unwrap_or_else(|| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)))
}

/// What an instance would find at an address, following the operations.
fn byte_at(image: &Image, address: u64) -> Option<u8> {
    let holds =
        |operation: &&MapOperation| (operation.address..operation.address + operation.length).contains(&address);
    let fills = |operation: &&MapOperation| {
        matches!(operation.operation, OP_ANONYMOUS | OP_PRIVATE_FILE | OP_SHARED_FILE | OP_COPY)
    };
    let last = image.operations().iter().filter(holds).filter(fills).next_back()?;
    let mut byte = [0];
    if last.operation != OP_ANONYMOUS {
        let file = match last.file {
            FILE_IMAGE => image.file.try_clone().unwrap(),
            index => std::fs::File::open(&image.manifest.files[index as usize - 1].path).unwrap(),
        };
        file.read_exact_at(&mut byte, last.offset + address - last.address).unwrap();
    }
    Some(byte[0])
}

#[test]
fn a_whole_image() {
    let scratch = Scratch::new("whole");
    let output = capture(&scratch, "");
    assert!(told(&output).starts_with("saved "), "{}", told(&output));
    assert_eq!(scratch.names(), ["app.image", "app.image.report.json", "data", "libjvm.so"]);
    let path = scratch.0.join("app.image");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o640);
    let image = Image::open(&path, None).unwrap();
    image.verify_pages().unwrap();

    // Memory is as it was: data, zeros, contents behind PROT_NONE, changed pages of a file, a deleted file.
    assert_eq!(byte_at(&image, HEAP), Some(1));
    assert_eq!(byte_at(&image, HEAP + PAGE), Some(0));
    assert_eq!(byte_at(&image, HEAP + 100 * PAGE), Some(2));
    for page in SEVENS {
        let at = HEAP + page * PAGE;
        assert_eq!((byte_at(&image, at), byte_at(&image, at + PAGE - 1)), (Some(7), Some(7)), "page {page}");
    }
    assert_eq!(byte_at(&image, HEAP + SEVENS.end * PAGE), Some(0));
    assert_eq!(byte_at(&image, HIDDEN), Some(3));
    assert_eq!(byte_at(&image, FILE), Some(b'f'));
    assert_eq!(byte_at(&image, FILE + PAGE), Some(4));
    assert_eq!(byte_at(&image, SHARED), Some(b'f'));
    assert_eq!(byte_at(&image, CARRIED), Some(b'c'));
    assert_eq!(byte_at(&image, WIPED), Some(0));
    assert_eq!(byte_at(&image, COPIED), Some(5));

    let operations = image.operations();
    let of = |address: u64| operations.iter().filter(move |operation| operation.address == address);
    let maps = operations
        .iter()
        .filter(|operation| matches!(operation.operation, OP_ANONYMOUS | OP_PRIVATE_FILE | OP_SHARED_FILE));
    // From the top down: what is not below all that was mapped before it lies over some of that.
    let mut before: Vec<std::ops::Range<u64>> = Vec::new();
    for range in maps.map(|operation| operation.address..operation.address + operation.length) {
        let below_all = before.iter().all(|other| range.end <= other.start);
        let over_some = before.iter().any(|other| range.start < other.end && other.start < range.end);
        assert!(below_all || over_some, "{range:x?} after {before:x?}");
        before.push(range);
    }
    let kinds = |address: u64| of(address).map(|operation| operation.operation).collect::<Vec<_>>();
    assert_eq!((kinds(HEAP), kinds(HEAP + PAGE)), (vec![OP_PRIVATE_FILE], vec![OP_ANONYMOUS]));
    assert_eq!(of(HIDDEN).map(|operation| operation.protection).collect::<Vec<_>>(), [0]);
    assert!(
        of(WIPED).any(|operation| operation.operation == OP_ADVISE && operation.flags as i32 == libc::MADV_WIPEONFORK)
    );
    assert!(operations.iter().all(|operation| operation.address % PAGE == 0 && operation.length % PAGE == 0));

    let manifest = &image.manifest;
    assert_eq!(manifest.threads.iter().map(|thread| thread.name.as_str()).collect::<Vec<_>>(), ["first"]);
    assert!(manifest.files.iter().any(|file| file.path == scratch.0.join("data") && file.digest.is_some()));
    assert!(manifest.files.iter().any(|file| file.path == std::env::current_exe().unwrap()));
    assert!(manifest.entry.vdso.iter().any(|symbol| symbol.name == "__vdso_clock_gettime"));
    assert!(
        manifest.entry.memory_map.brk >= manifest.entry.memory_map.start_brk && manifest.entry.memory_map.start_brk > 0
    );
    assert_eq!((manifest.jdk.collector.as_str(), manifest.max_heap), ("Serial", HEAP_PAGES * PAGE));
    let heap = manifest.pages.iter().find(|pages| pages.kind == "java heap").unwrap();
    // A quarter of what holds one byte.
    assert_eq!((heap.in_image, heap.zero, heap.repeated), (2 + 50, 1, 150));
    assert!(manifest.descriptors.numbers.iter().map(|number| number.fd).take(3).eq(0..3));
    assert_eq!(manifest.identity.arguments[0], "--exact");

    let report: serde_json::Value =
        serde_json::from_slice(&std::fs::read(scratch.0.join("app.image.report.json")).unwrap()).unwrap();
    assert_eq!(
        (report["result"].as_str(), report["file_length"].as_u64()),
        (Some("saved"), Some(image.header.file_length))
    );
    assert_eq!(report["stop_began_ns"].as_u64(), Some(jvm::STOP_BEGAN));
    assert_eq!(report["stopped_ns"].as_u64(), Some(jvm::STOPPED));
}

#[test]
fn an_image_comes_to_life() {
    let scratch = Scratch::new("life");
    capture(&scratch, "");
    let output =
        Command::new(env!("CARGO_BIN_EXE_hotfork")).arg("restore").arg(scratch.0.join("app.image")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "alive\n", "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(42));
}

#[test]
fn refusals_reach_the_agent_and_leave_nothing() {
    let scratch = Scratch::new("refused");
    for (fault, code, text) in [
        ("version", 115, "agent 0.0.0, helper "),
        ("shared", 114, "cannot capture: shared anonymous memory is mapped at "),
        ("descriptor", 114, "udp"),
        ("max-stop", 114, "more than the limit of 0 ms; raise max-stop"),
        ("template", 115, "was killed; is there enough memory?"),
        ("dontfork", 114, "is marked MADV_DONTFORK"),
    ] {
        let told = told(&capture(&scratch, fault));
        let expected = format!("refused {code} ");
        assert!(told.starts_with(&expected) && told.to_lowercase().contains(&text.to_lowercase()), "{fault}: {told}");
        if fault == "version" {
            // Another version's message may mean another image: nothing is written, not even a report.
            assert_eq!(scratch.names(), ["data", "libjvm.so"]);
            continue;
        }
        assert_eq!(scratch.names(), ["app.image.report.json", "data", "libjvm.so"], "{fault}");
        let report: serde_json::Value =
            serde_json::from_slice(&std::fs::read(scratch.0.join("app.image.report.json")).unwrap()).unwrap();
        assert_eq!((report["result"].as_str(), report["exit_code"].as_i64()), (Some("failed"), Some(code)), "{fault}");
    }
}

#[test]
fn an_agent_that_gives_up_or_dies_leaves_nothing() {
    let scratch = Scratch::new("abandoned");
    for fault in ["abandon", "vanish"] {
        capture(&scratch, fault);
        assert_eq!(scratch.names(), ["app.image.report.json", "data", "libjvm.so"], "{fault}");
    }
}

#[test]
fn a_disk_that_fills_up_leaves_nothing() {
    let scratch = Scratch::new("full");
    // A limit of file sizes is what a test may set; the kernel answers EFBIG where a full disk answers ENOSPC.
    let told = told(&capture(&scratch, "file-size"));
    assert!(told.starts_with("refused 116 cannot write image "), "{told}");
    assert!(told.contains("ulimit -f"), "{told}");
    assert_eq!(scratch.names(), ["app.image.report.json", "data", "libjvm.so"]);
}
