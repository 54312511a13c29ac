//! Whatever is wrong with an image or a host gives one clear line and its exit code.
#![deny(unsafe_code)]

mod tiny;

use hotfork_abi::PAGE;
use hotfork_abi::restore::{MADV_POPULATE_READ, MADV_POPULATE_WRITE, OP_ADVISE_LATER, OP_PRIVATE_FILE, OP_READ_AHEAD};
use hotfork_abi::restore::{MapOperation, OP_ADVISE, OP_ANONYMOUS};
use hotfork_helper::image::format::{FORMAT_VERSION, PAGES_START};
use hotfork_helper::image::manifest::{MappedFile, Thread, Trial, VdsoSymbol};
use hotfork_helper::save::first_pages::at_most;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use tiny::{CODE, DATA, DATA_TEXT, GOOD, STACK, STACK_LENGTH, Scratch, Tiny, hotfork, operation, restore, stderr};

/// The one line of a refusal, with its exit code.
fn refusal(output: &Output) -> (i32, String) {
    let text = stderr(output);
    assert!(text.starts_with("hotfork: ") && text.lines().count() == 1, "one line: {text:?}");
    (output.status.code().unwrap(), text.trim_end().to_owned())
}

#[track_caller]
fn refused(output: &Output, code: i32, what: &str) {
    let (status, line) = refusal(output);
    assert_eq!(status, code, "{line}");
    assert!(line.contains(what), "{line}");
}

/// Restores the sound image after `change` to its file.
fn damaged(name: &str, change: impl FnOnce(&Path), code: i32, what: &str) {
    let scratch = Scratch::new(name);
    let image = scratch.image(&Tiny::new().bytes());
    change(&image);
    refused(&restore(&image), code, what);
}

/// Restores an image with a different manifest or other operations.
#[track_caller]
fn unfit(name: &str, change: impl FnOnce(&mut Tiny), code: i32, what: &str) {
    let scratch = Scratch::new(name);
    let mut tiny = Tiny::new();
    change(&mut tiny);
    refused(&restore(&scratch.image(&tiny.bytes())), code, what);
}

fn cut(path: &Path, length: u64) {
    std::fs::File::options().write(true).open(path).unwrap().set_len(length).unwrap();
}

fn operations_offset() -> u64 {
    PAGES_START + 4 * PAGE
}

#[test]
fn damaged_images() {
    damaged("empty", |path| cut(path, 0), 110, "is empty; take it again");
    damaged("short", |path| cut(path, 50), 110, "is not a Hotfork image");
    damaged("cut", |path| cut(path, PAGES_START), 110, "is cut short or was appended to");
    damaged("last", |path| cut(path, std::fs::metadata(path).unwrap().len() - 1), 110, "is cut short");
    damaged("foreign", |path| std::fs::write(path, [b'x'; 100_000]).unwrap(), 110, "is not a Hotfork image");
    damaged("header", |path| tiny::flip(path, 60), 110, "is damaged");
    damaged("digest", |path| tiny::flip(path, 20), 110, "do not have the digest that was written");
    damaged("table", |path| tiny::flip(path, operations_offset() + 3), 110, "do not have the digest");
    damaged("manifest", |path| tiny::flip(path, operations_offset() + 400), 110, "do not have the digest");
    let another =
        format!("has format {}, this hotfork reads format {FORMAT_VERSION}; take it again", FORMAT_VERSION ^ 1);
    damaged("version", |path| tiny::flip(path, 8), 111, &another);
    damaged("interface", |path| tiny::flip(path, 12), 111, "was written by another build of hotfork");
}

#[test]
fn what_is_no_image_file() {
    let scratch = Scratch::new("nofile");
    refused(&restore(&scratch.0.join("none")), 2, "there is no such file; take it with");
    refused(&restore(&scratch.0), 110, "is not a regular file");
    let fifo = scratch.0.join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    refused(&restore(&fifo), 110, "is not a regular file");
}

#[test]
fn untrusted_images() {
    let mode = |mode| move |path: &Path| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    damaged("group", mode(0o660), 112, "may be written by group or others (mode 0660); run chmod go-w");
    damaged("others", mode(0o602), 112, "(mode 0602)");
    if !root("an image of a stranger") {
        return;
    }
    let scratch = Scratch::new("stranger");
    let image = scratch.image(&Tiny::new().bytes());
    std::os::unix::fs::chown(&image, Some(12345), None).unwrap();
    refused(&restore(&image), 112, "belongs to uid 12345, which is neither root nor uid 0; add --trust-owner 12345");
    let output = hotfork().args(["restore", "--trust-owner", "12345"]).arg(&image).output().unwrap();
    assert_eq!(output.status.code(), Some(GOOD), "{}", stderr(&output));
}

#[test]
fn unsound_operations() {
    let add = |operation: MapOperation| move |tiny: &mut Tiny| tiny.operations.push(operation);
    unfit("unaligned", add(operation(OP_ANONYMOUS, 0x1_0001, PAGE, 0, 0)), 110, "map operation 7 makes no sense");
    unfit("kernel", add(operation(OP_ANONYMOUS, 1 << 47, PAGE, 0, 0)), 110, "map operation 7");
    unfit("unmapped-vdso", |tiny| tiny.manifest.entry.vdso[0].address = 0x5000, 110, "its vdso is not mapped");
}

/// Its pages are brought in ahead of need.
fn prefetch(address: u64, pages: u64) -> MapOperation {
    MapOperation { flags: MADV_POPULATE_WRITE, ..operation(OP_ADVISE, address, pages * PAGE, 0, 0) }
}

/// The sound image with this set, after a trial that wrote four pages.
fn with_prefetch(set: &[MapOperation]) -> impl FnOnce(&mut Tiny) {
    move |tiny| {
        tiny.operations.extend(set);
        let trial = Trial {
            first_request_ns: 1,
            later_request_ns: 1,
            pages_before: 3,
            pages_by_first_answer: 1,
            pages_read_by_first_answer: 0,
            faults: 1,
            threads: Vec::new(),
            compiling_ns: 0,
            deoptimizations: None,
            poor: false,
        };
        tiny.manifest.trial = Some(Ok(trial));
    }
}

#[test]
fn prefetch_sets_that_no_trial_made() {
    let stack_pages = STACK_LENGTH / PAGE;
    let unsound = |name, set: &[MapOperation]| unfit(name, with_prefetch(set), 110, "map operation 7 makes no sense");
    unsound("prefetch-unaligned", &[MapOperation { address: STACK + 8, ..prefetch(STACK, 1) }]);
    unsound("prefetch-length", &[MapOperation { length: PAGE + 8, ..prefetch(STACK, 1) }]);
    unsound("prefetch-empty", &[prefetch(STACK, 0)]);
    unsound("prefetch-overflow", &[MapOperation { length: u64::MAX - PAGE + 1, ..prefetch(STACK, 1) }]);
    unsound("prefetch-kernel", &[prefetch(1 << 47, 1)]);
    unsound("prefetch-nowhere", &[prefetch(0x20_0000_0000, 1)]);
    unsound("prefetch-over-the-end", &[prefetch(STACK + PAGE, stack_pages)]);
    unsound("prefetch-over-a-hole", &[prefetch(DATA, (STACK - DATA) / PAGE + 1)]);
    unfit(
        "prefetch-too-much",
        with_prefetch(&[prefetch(STACK, stack_pages), prefetch(STACK, 1)]),
        110,
        "map operation 8 makes no sense",
    );
    let untried = at_most(1) / stack_pages;
    let too_many = |tiny: &mut Tiny| tiny.operations.extend((0..=untried).map(|_| prefetch(STACK, stack_pages)));
    unfit("prefetch-untried", too_many, 110, &format!("map operation {} makes no sense", 7 + untried));
    let read = |operation| MapOperation { flags: MADV_POPULATE_READ, operation, ..prefetch(DATA, 1) };
    unsound("read-ahead", &[read(OP_ADVISE)]);
    let one_more = [prefetch(STACK, stack_pages), read(OP_ADVISE_LATER)];
    unfit("read-later-too-much", with_prefetch(&one_more), 110, "map operation 8 makes no sense");
    let now = |address, pages| operation(OP_READ_AHEAD, address, pages * PAGE, 0, 0);
    unsound("read-nowhere", &[now(0x20_0000_0000, 1)]);
    unsound("read-what-is-written", &[now(STACK, 1)]);
    unsound("read-over-the-end", &[now(CODE, 2)]);
    let not_yet = |tiny: &mut Tiny| {
        tiny.operations.swap(0, 5);
        tiny.operations.push(now(CODE, 1));
    };
    unfit("read-too-soon", not_yet, 110, "map operation 7 makes no sense");
    let emptied = MapOperation { flags: libc::MADV_DONTNEED as u32, ..prefetch(DATA, 1) };
    unfit("advice", with_prefetch(&[emptied]), 110, "map operation 7 makes no sense");
}

/// Pages that will not be used, or cannot be written, cost at most their memory.
#[test]
fn other_prefetch_sets_do_no_harm() {
    for (name, set) in [
        ("sound", vec![prefetch(STACK, STACK_LENGTH / PAGE)]),
        ("read-only", vec![prefetch(DATA, 1), prefetch(CODE, 1)]),
        (
            "read-later",
            vec![MapOperation { flags: MADV_POPULATE_READ, operation: OP_ADVISE_LATER, ..prefetch(CODE, 1) }],
        ),
        ("twice", vec![prefetch(STACK, 2), prefetch(STACK, 2)]),
        ("read-ahead", vec![operation(OP_READ_AHEAD, CODE, PAGE, 0, 0)]),
    ] {
        let scratch = Scratch::new(&format!("prefetch-{name}"));
        let mut tiny = Tiny::new();
        with_prefetch(&set)(&mut tiny);
        let output = restore(&scratch.image(&tiny.bytes()));
        assert_eq!(output.status.code(), Some(GOOD), "{name}: {}", stderr(&output));
        assert!(output.stdout.ends_with(DATA_TEXT.as_bytes()), "{name}");
    }
    let scratch = Scratch::new("prefetch-of-what-may-be-written");
    let mut tiny = Tiny::new();
    let code = tiny.operations.iter_mut().find(|one| one.address == CODE).unwrap();
    code.protection |= libc::PROT_WRITE as u32;
    tiny.operations.push(operation(OP_READ_AHEAD, CODE, PAGE, 0, 0));
    let output = restore(&scratch.image(&tiny.bytes()));
    assert_eq!(output.status.code(), Some(GOOD), "memory of the image: {}", stderr(&output));
    let scratch = Scratch::new("prefetch-untried");
    let mut tiny = Tiny::new();
    // What threads write at once is known without a trial.
    let pages = STACK_LENGTH / PAGE;
    tiny.operations.extend((0..at_most(1) / pages).map(|_| prefetch(STACK, pages)));
    assert_eq!(restore(&scratch.image(&tiny.bytes())).status.code(), Some(GOOD), "as many as its thread may write");
    let scratch = Scratch::new("prefetch-early");
    let mut tiny = Tiny::new();
    with_prefetch(&[])(&mut tiny);
    tiny.operations.insert(0, prefetch(STACK, 1));
    let image = scratch.image(&tiny.bytes());
    assert_eq!(restore(&image).status.code(), Some(GOOD), "before its memory is mapped");
    tiny.operations.push(prefetch(0x20_0000_0000, 1));
    scratch.image(&tiny.bytes());
    let output = hotfork().args(["restore", "--no-prefetch"]).arg(&image).output().unwrap();
    assert_eq!(output.status.code(), Some(GOOD), "left out: {}", stderr(&output));
}

/// What nobody can foresee still ends with a line and one code, past the point of no return.
#[test]
fn failures_after_the_first_unmap() {
    let huge = MapOperation { flags: libc::MAP_HUGETLB as u32, ..operation(OP_ANONYMOUS, 0x40_0000_1000, PAGE, 0, 0) };
    unfit(
        "huge",
        |tiny| tiny.operations.push(huge),
        119,
        "hotfork: restore failed half-way: mmap at 0x4000001000: errno 22; run `hotfork check` on the image, then restore again",
    );
    unfit(
        "break",
        |tiny| tiny.manifest.entry.memory_map.start_code = u64::MAX,
        119,
        "prctl(PR_SET_MM_MAP), and __curbrk is unknown, at 0x1020000000: errno 22",
    );
}

#[test]
fn another_host() {
    unfit("clock", |tiny| tiny.manifest.taken.clocks.monotonic = u64::MAX / 2, 111, "waits in the JVM would hang");
    unfit("xcr0", |tiny| tiny.manifest.cpu.xcr0 ^= 4, 111, "the XSAVE components differ (XCR0");
    unfit("layout", |tiny| tiny.manifest.cpu.xsave_size += 64, 111, "lays out its XSAVE area differently");
    let feature = |tiny: &mut Tiny| tiny.manifest.cpu.leaves.push((0x8000_0001, 0, [0, 0, 0, 1 << 31]));
    unfit(
        "cpu",
        |tiny| {
            tiny.manifest.cpu.leaves.clear();
            feature(tiny)
        },
        111,
        "this CPU lacks 3dnow, which",
    );
    let symbol = VdsoSymbol { name: "__vdso_future".into(), address: tiny::VDSO };
    unfit("vdso", |tiny| tiny.manifest.entry.vdso.push(symbol), 111, "this kernel's vdso lacks __vdso_future");
    unfit("cwd", |tiny| tiny.manifest.cwd = "/no/such".into(), 113, "working directory /no/such cannot be entered");
}

#[test]
fn changed_files() {
    let scratch = Scratch::new("library");
    let path = scratch.0.join("lib.so");
    std::fs::write(&path, b"code").unwrap();
    let file = MappedFile { path: path.clone(), size: 4, mtime: 0, build_id: String::new(), digest: Some([0; 32]) };
    let with = |file: MappedFile| move |tiny: &mut Tiny| tiny.manifest.files.push(file);
    unfit("contents", with(file.clone()), 111, "lib.so changed since the image was taken (its contents differ)");
    unfit("size", with(MappedFile { size: 5, ..file.clone() }), 111, "(5 bytes then, 4 now); put it back");
    std::fs::remove_file(&path).unwrap();
    unfit("gone", with(file), 111, "lib.so, which the image maps, cannot be opened: No such file");
}

/// Behind a file's last page memory is mapped, and to read it kills.
#[test]
fn a_mapped_file_is_read_ahead_to_its_end_only() {
    let scratch = Scratch::new("library-end");
    let path = scratch.0.join("lib.so");
    std::fs::write(&path, [b'x'; PAGE as usize + 1]).unwrap();
    let mtime = std::fs::metadata(&path).unwrap().modified().unwrap();
    let mtime = mtime.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
    let file = MappedFile { path, size: PAGE + 1, mtime, build_id: String::new(), digest: None };
    let reading = |pages: u64| {
        let mut tiny = Tiny::new();
        tiny.manifest.files.push(file.clone());
        let mapped = operation(OP_PRIVATE_FILE, 0x10_4000_0000, 4 * PAGE, 0, libc::PROT_READ);
        tiny.operations.insert(0, MapOperation { file: 1, ..mapped });
        tiny.operations.push(operation(OP_READ_AHEAD, 0x10_4000_0000, pages * PAGE, 0, 0));
        restore(&scratch.image(&tiny.bytes()))
    };
    let output = reading(2);
    assert_eq!(output.status.code(), Some(GOOD), "{}", stderr(&output));
    refused(&reading(3), 110, "map operation 8 makes no sense");
}

/// Runs a restore under limits that a shell sets.
fn limited(image: &Path, limits: &str) -> Output {
    let script = format!("{limits} && exec \"$0\" restore \"$1\"");
    Command::new("sh").args(["-c", &script]).arg(env!("CARGO_BIN_EXE_hotfork")).arg(image).output().unwrap()
}

#[test]
fn limits() {
    let scratch = Scratch::new("limits");
    let mut tiny = Tiny::new();
    (tiny.manifest.total_mapped, tiny.manifest.private_writable) = (8 << 30, 4 << 30);
    let image = scratch.image(&tiny.bytes());
    refused(
        &limited(&image, "ulimit -v 1000000"),
        113,
        "needs 8.1 GB of address space, the limit is 976 MB; raise it with ulimit -v",
    );
    refused(
        &limited(&image, "ulimit -d 1000000"),
        113,
        "of writable memory, the limit is 976 MB; raise it with ulimit -d",
    );
    refused(&limited(&image, "ulimit -n 12"), 113, "open files, the limit is 12; raise it with ulimit -n");
    let output = limited(&image, "ulimit -S -n 12");
    assert_eq!(output.status.code(), Some(GOOD), "the soft limit is raised: {}", stderr(&output));
}

#[test]
fn too_many_mappings() {
    unfit(
        "mappings",
        |tiny| {
            let scattered = (0..66_000).map(|n| operation(OP_ANONYMOUS, 0x20_0000_0000 + n * 2 * PAGE, PAGE, 0, 0));
            tiny.operations.extend(scattered);
        },
        113,
        "mappings, the kernel allows",
    );
}

#[test]
fn port_moves_that_the_image_does_not_know() {
    let scratch = Scratch::new("ports");
    let image = scratch.image(&Tiny::new().bytes());
    let output = hotfork().args(["restore", "--listen", "80=81"]).arg(&image).output().unwrap();
    refused(&output, 2, "listens on no TCP port");
}

/// Whether the tests run as root; if not, says what is skipped.
fn root(what: &str) -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        println!("SKIPPED: {what} (needs root: run the tests as root)");
    }
    root
}

#[test]
fn an_ordinary_user_restores_but_needs_its_limits() {
    if !root("restore as another user") {
        return;
    }
    let scratch = Scratch::new("user");
    let image = scratch.image(&Tiny::new().bytes());
    let program = scratch.0.join("hotfork");
    // By a process of its own: what another test forks meanwhile would hold a file open for writing that is open here, and such a one cannot be executed (ETXTBSY).
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_hotfork")).arg(&program).status().unwrap();
    assert!(copied.success(), "copy the helper: {copied}");
    let as_nobody = |limit: &str| {
        let identity = ["--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", "--no-new-privs"];
        let mut command = Command::new("setpriv");
        command.args(identity).args(["prlimit", limit]).arg(&program).arg("restore").arg(&image).output().unwrap()
    };
    let output = as_nobody("--nproc=10000");
    assert_eq!(output.status.code(), Some(GOOD), "{}", stderr(&output));

    let mut crowd = Tiny::new();
    crowd.manifest.threads = vec![Thread { tid: 1, name: "t".into() }; 100];
    scratch.image(&crowd.bytes());
    refused(&as_nobody("--nproc=50"), 113, "needs 99 more threads, this user may make ");

    std::fs::set_permissions(&image, PermissionsExt::from_mode(0o600)).unwrap();
    refused(
        &as_nobody("--nproc=10000"),
        112,
        "cannot be opened: Permission denied (os error 13); restore as its owner",
    );
}

#[test]
fn a_noexec_mount_is_copied_from() {
    if !root("an image on a noexec mount") {
        return;
    }
    let scratch = Scratch::new("noexec");
    let image = scratch.image(&Tiny::new().bytes());
    let mount = scratch.0.join("mount");
    std::fs::create_dir(&mount).unwrap();
    let script = "mount -t tmpfs -o noexec,mode=755 tmpfs \"$2\" && cp -p \"$1\" \"$2/image\" && exec \"$0\" restore \"$2/image\"";
    let output = Command::new("unshare")
        .args(["-m", "sh", "-c", script, env!("CARGO_BIN_EXE_hotfork")])
        .args([&image, &mount])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(GOOD), "{}", stderr(&output));
    assert!(output.stdout.ends_with(DATA_TEXT.as_bytes()));
}
