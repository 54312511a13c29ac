//! Compiles the restorer to a flat piece of machine code that the helper embeds. Cargo cannot build
//! a bare-metal artifact as a dependency on stable, so this calls the compiler itself: first for
//! `hotfork-abi` and `linux-raw-sys`, then for the blob, which is linked by the toolchain's own linker.

use object::{Object, ObjectSection};
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    let output = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR")).join("..");
    let restorer = root.join("restorer");
    for watched in [restorer.join("src"), restorer.join("blob.ld"), root.join("abi/src"), PathBuf::from("build.rs")] {
        println!("cargo::rerun-if-changed={}", watched.display());
    }

    let abi = output.join("libhotfork_abi.rlib");
    rustc(&root.join("abi/src/lib.rs"), &abi, &["--crate-type=rlib", "--crate-name=hotfork_abi"]);

    let elf = output.join("blob.elf");
    let script = format!("-Clink-arg=-T{}", restorer.join("blob.ld").display());
    let external = format!("--extern=hotfork_abi={}", abi.display());
    rustc(
        &restorer.join("src/blob.rs"),
        &elf,
        &[
            "--crate-type=bin",
            "--crate-name=blob",
            &external,
            &script,
            "-Clinker-flavor=ld.lld",
            "-Clinker=rust-lld",
            "-Clink-arg=--no-dynamic-linker",
            "-Clink-self-contained=no",
        ],
    );
    let blob = flat_code(&std::fs::read(&elf).expect("the compiler wrote the blob"));
    std::fs::write(output.join("blob.bin"), blob).expect("OUT_DIR is writable");
}

fn rustc(source: &Path, output: &Path, further: &[&str]) {
    let status = Command::new(env::var_os("RUSTC").expect("cargo sets RUSTC"))
        .arg("--edition=2024")
        .args(["--target", &env::var("TARGET").expect("cargo sets TARGET")])
        // Without relro, compiler-made calls go straight and not through the GOT; the rest keeps the
        // code flat, small, and free of what a missing thread-local area or red zone would break.
        .args(["-Copt-level=s", "-Cpanic=abort", "-Crelocation-model=pie", "-Ccodegen-units=1"])
        .args(["-Coverflow-checks=no", "-Cdebug-assertions=no", "-Cforce-unwind-tables=no", "-Cno-redzone=yes"])
        .args(["-Ctarget-cpu=x86-64", "-Crelro-level=off", "-Dwarnings"])
        .args(further)
        .arg("-o")
        .args([output, source])
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTFLAGS")
        .status()
        .expect("the compiler that cargo names can be run");
    assert!(status.success(), "{} does not compile", source.display());
}

/// The blob's one section, after checking that it is what can be copied to any address and run.
fn flat_code(elf: &[u8]) -> Vec<u8> {
    let file = object::File::parse(elf).expect("the linker wrote an ELF file");
    let relocations = file.dynamic_relocations().map_or(0, Iterator::count);
    assert_eq!(relocations, 0, "the blob must need no relocation");
    assert_eq!(file.entry(), 0, "the blob's entry must be its first byte");
    for section in file.sections() {
        let name = section.name().unwrap_or("?");
        let empty = section.size() == 0 || !matches!(name, ".writable" | ".got" | ".rela.dyn");
        assert!(empty, "the blob must have no {name} section");
    }
    let section = file.section_by_name(".blob").expect("blob.ld makes a .blob section");
    assert_eq!(section.address(), 0, "the blob must be linked at 0");
    section.data().expect("the section has contents").to_vec()
}
