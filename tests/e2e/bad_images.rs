//! Images that must not be restored: one line, one exit code, before anything happens.

use crate::cat::Cat;
use hotfork_tests::hotfork::run;
use hotfork_tests::matrix::{Cell, Extent, World, cells, once};
use hotfork_tests::{During, Outcome, ensure, ensure_eq, skip};
use libtest_mimic::Trial;
use std::fs::{self, OpenOptions, Permissions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

pub fn trials(world: &Arc<World>) -> Vec<Trial> {
    let mut trials = cells(world, "bad_image::damaged", 17, Extent::Rotated(3), damaged);
    trials.extend(once(world, "bad_image::flipped_page", flipped_page));
    trials.extend(once(world, "bad_image::owner_and_mode", owner_and_mode));
    trials.extend(once(world, "bad_image::not_there", not_there));
    trials
}

fn restore(image: &Path) -> Outcome<hotfork_tests::hotfork::Finished> {
    run(["restore".as_ref(), image.as_os_str()])
}

fn flip(file: &Path, offset: u64) -> Outcome {
    let file = OpenOptions::new().read(true).write(true).open(file).during("open the image")?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).during("read a byte")?;
    file.write_all_at(&[byte[0] ^ 0x10], offset).during("flip a bit")
}

type Damage = fn(&Path, u64) -> Outcome;

/// Everything but the pages is covered by one digest: flips at both ends, and inside each structure.
const DAMAGES: [(&str, i32, &[&str], Damage); 10] = [
    ("empty", 110, &["is empty"], |file, _| truncate(file, 0)),
    ("cut inside the header", 110, &["take it again"], |file, _| truncate(file, 40)),
    ("cut in the middle", 110, &["cut short"], |file, length| truncate(file, length / 2)),
    ("cut by one byte", 110, &["cut short"], |file, length| truncate(file, length - 1)),
    ("longer by one byte", 110, &["appended"], |file, _| append(file)),
    ("foreign", 110, &["not a Hotfork image"], |file, _| fs::write(file, [7; 100_000]).during("write")),
    ("other magic", 110, &["not a Hotfork image"], |file, _| flip(file, 3)),
    ("newer format", 111, &["format", "take it again"], |file, _| newer(file)),
    ("flipped in the header", 110, &["damaged"], |file, _| flip(file, 24)),
    ("flipped at the end", 110, &["damaged"], |file, length| flip(file, length - 5)),
];

fn damaged(cell: &Cell) -> Outcome {
    let cat = Cat::new(cell)?;
    cat.taken()?.exits(0)?;
    let image = cat.image();
    let copy = cat.scratch.join("copy");
    for (what, code, words, damage) in DAMAGES {
        fs::copy(&image, &copy).during("copy the image")?;
        damage(&copy, image.metadata().during("look at the image")?.len())?;
        let name = copy.to_string_lossy();
        let words: Vec<&str> = words.iter().copied().chain([&*name]).collect();
        restore(&copy)?.fails(code, &words).during(what)?;
        run(["inspect".as_ref(), copy.as_os_str()])?.fails(code, &words).during(format_args!("inspect, {what}"))?;
        let checked = run(["check".as_ref(), copy.as_os_str()])?;
        ensure_eq!(checked.code, 1, "exit status of check, {what}: {}", checked.out);
        ensure!(checked.out.contains("NO"), "check, {what}, says {}", checked.out);
    }
    // The image itself is still good.
    let mut instance = crate::cat::Talk::start("instance", cat.restore())?;
    instance.is_restored("hello")?;
    instance.exits(0)
}

fn truncate(file: &Path, length: u64) -> Outcome {
    let file = OpenOptions::new().write(true).open(file).during("open the image")?;
    file.set_len(length).during("truncate the image")
}

fn append(file: &Path) -> Outcome {
    let mut file = OpenOptions::new().write(true).open(file).during("open the image")?;
    file.seek(SeekFrom::End(0)).during("seek")?;
    file.write_all(b"x").during("append")
}

/// The format version follows the eight bytes of magic.
fn newer(file: &Path) -> Outcome {
    let file = OpenOptions::new().write(true).open(file).during("open the image")?;
    file.write_all_at(&99_u32.to_le_bytes(), 8).during("write a version")
}

/// A page is looked at by `check` and `--verify` only: hashing all of them takes longer than a restore.
fn flipped_page(cell: &Cell) -> Outcome {
    let cat = Cat::new(cell)?;
    cat.taken()?.exits(0)?;
    let image = cat.image();
    flip(&image, 64 * 1024 + 12_345)?;
    run(["restore".as_ref(), image.as_os_str(), "--verify".as_ref()])?.fails(110, &["damaged", "pages"])?;
    let checked = run(["check".as_ref(), image.as_os_str()])?;
    ensure_eq!(checked.code, 1, "exit status of check: {}", checked.out);
    ensure!(checked.out.contains("not as written"), "check says {}", checked.out);
    Ok(())
}

fn owner_and_mode(cell: &Cell) -> Outcome {
    let cat = Cat::new(cell)?;
    cat.taken()?.exits(0)?;
    let image = cat.image();
    for mode in [0o620, 0o602] {
        fs::set_permissions(&image, Permissions::from_mode(mode)).during("chmod")?;
        restore(&image)?.fails(112, &["may be written", "chmod go-w"])?;
        // An image that cannot be trusted stops `run` too, and is not replaced.
        hotfork_tests::hotfork::finish("run", cat.run(&[]))?.fails(112, &["may be written"])?;
    }
    fs::set_permissions(&image, Permissions::from_mode(0o644)).during("chmod")?;
    if !nix::unistd::geteuid().is_root() {
        skip::skip("images of strangers", "run the tests as root, which may give a file away");
        return Ok(());
    }
    std::os::unix::fs::chown(&image, Some(12_345), None).during("chown")?;
    restore(&image)?.fails(112, &["12345", "--trust-owner"])?;
    let mut trusting = cat.restore();
    trusting.args(["--trust-owner", "12345"]);
    let mut instance = crate::cat::Talk::start("instance", trusting)?;
    instance.is_restored("hello")?;
    instance.exits(0)
}

fn not_there(cell: &Cell) -> Outcome {
    let cat = Cat::new(cell)?;
    restore(&cat.image())?.fails(2, &["no such file", &cat.image().to_string_lossy()])?;
    restore(&cat.scratch)?.fails(110, &["not a regular file"])?;
    let link = cat.scratch.join("fifo");
    nix::unistd::mkfifo(&link, nix::sys::stat::Mode::S_IRUSR).during("make a fifo")?;
    // Opening a fifo waits for a writer, unless one takes care.
    restore(&link)?.fails(110, &["not a regular file"]).map(drop)
}
