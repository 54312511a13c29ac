//! Restores a tiny image through the real verb.
#![deny(unsafe_code)]

mod tiny;

use hotfork_abi::PAGE;
use hotfork_abi::restore::{OP_ANONYMOUS, OP_PRIVATE_FILE};
use hotfork_helper::image::format::PAGES_START;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use tiny::{DATA_TEXT, GOOD, Scratch, Tiny, hotfork, operation, restore, stderr};

#[test]
fn becomes_what_the_image_says() {
    let scratch = Scratch::new("becomes");
    let image = scratch.image(&Tiny::new().bytes());
    let output = hotfork()
        .args(["restore", "--env", "B=2", "--env", "A=3"])
        .arg(&image)
        .env_clear()
        .envs([("A", "1"), ("C", "")])
        .output()
        .unwrap();
    assert_eq!(stderr(&output), "");
    assert_eq!(output.status.code(), Some(GOOD));
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("C=\0B=2\0A=3\0{DATA_TEXT}"));
}

#[test]
fn many_at_a_time() {
    let scratch = Scratch::new("many");
    let image = scratch.image(&Tiny::new().bytes());
    let children: Vec<_> = (0..20)
        .map(|_| hotfork().arg("restore").arg(&image).stdout(std::process::Stdio::null()).spawn().unwrap())
        .collect();
    for mut child in children {
        assert_eq!(child.wait().unwrap().code(), Some(GOOD));
    }
}

#[test]
fn verifies_pages_when_asked() {
    let scratch = Scratch::new("verify");
    let image = scratch.image(&Tiny::new().bytes());
    let output = hotfork().args(["restore", "--verify"]).arg(&image).output().unwrap();
    assert_eq!(output.status.code(), Some(GOOD), "{}", stderr(&output));
    tiny::flip(&image, hotfork_helper::image::format::PAGES_START + 5000);
    assert_eq!(restore(&image).status.code(), Some(GOOD), "only --verify reads all pages");
    let output = hotfork().args(["restore", "--verify"]).arg(&image).output().unwrap();
    assert_eq!(output.status.code(), Some(110));
    assert!(stderr(&output).contains("1 of 1 chunks of its pages are not as written"), "{}", stderr(&output));
}

#[test]
fn a_clock_that_goes_on_may_be_ahead_of_the_hosts() {
    let scratch = Scratch::new("clock");
    let mut tiny = Tiny::new();
    tiny.manifest.taken.clocks.monotonic = u64::MAX / 2;
    tiny.manifest.entry.clock_goes_on = true;
    let output = restore(&scratch.image(&tiny.bytes()));
    assert_eq!(output.status.code(), Some(GOOD), "{}", stderr(&output));
}

#[test]
fn within_one_boot_the_cpu_is_not_asked_again() {
    let scratch = Scratch::new("boot");
    let mut tiny = Tiny::new();
    tiny.manifest.cpu.xcr0 ^= 4;
    assert_eq!(restore(&scratch.image(&tiny.bytes())).status.code(), Some(111), "an image of another boot");
    tiny.manifest.taken.boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap().trim().into();
    let output = restore(&scratch.image(&tiny.bytes()));
    assert_eq!(output.status.code(), Some(GOOD), "{}", stderr(&output));
}

#[test]
fn performance_memory_becomes_a_file_of_the_new_pid() {
    let scratch = Scratch::new("perf");
    let directory = scratch.0.join("hsperfdata_me");
    let mut tiny = Tiny::new();
    tiny.operations[6] = tiny::operation(
        hotfork_abi::restore::OP_PRIVATE_FILE,
        tiny::PERF,
        hotfork_abi::PAGE,
        hotfork_helper::image::format::PAGES_START + 3 * hotfork_abi::PAGE,
        libc::PROT_READ | libc::PROT_WRITE,
    );
    let entry = &mut tiny.manifest.entry;
    (entry.perf_address, entry.perf_length, entry.perf_operation) = (tiny::PERF, hotfork_abi::PAGE, Some(6));
    (entry.perf_name_capacity, entry.perf_file) = (200, Some(directory.join("1")));
    let image = scratch.image(&tiny.bytes());
    let mut child = hotfork().arg("restore").arg(&image).stdout(std::process::Stdio::null()).spawn().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(GOOD));
    // The tiny program does not tidy up as HotSpot does.
    let contents = std::fs::read(directory.join(child.id().to_string())).unwrap();
    assert_eq!((contents.len() as u64, &contents[..5]), (hotfork_abi::PAGE, &b"perf\0"[..]));

    std::fs::set_permissions(&directory, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let output = restore(&image);
    assert_eq!(output.status.code(), Some(GOOD));
    assert!(stderr(&output).contains("jps will not list this JVM: "), "{}", stderr(&output));
    assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 1, "nothing was made there");
}

#[test]
fn check_and_inspect_speak_of_the_image() {
    let scratch = Scratch::new("check");
    let image = scratch.image(&Tiny::new().bytes());
    let check = |json: bool| {
        let mut command = hotfork();
        command.arg("check").arg(&image).args(json.then_some("--json"));
        command.output().unwrap()
    };
    let output = check(false);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    tiny::flip(&image, hotfork_helper::image::format::PAGES_START + 1);
    let output = check(true);
    assert_eq!(output.status.code(), Some(1));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["ok"], false);
    let no: Vec<_> = told["facts"].as_array().unwrap().iter().filter(|fact| fact["verdict"] == "no").collect();
    assert_eq!(no.len(), 1, "{no:?}");
    assert!(no[0]["detail"].as_str().unwrap().contains("1 of 1 chunks of its pages"));

    let output = hotfork().args(["inspect", "--json"]).arg(&image).output().unwrap();
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&told["jdk"]["collector"], &told["cwd"]), (&"Serial".into(), &"/".into()));
    let output = hotfork().arg("inspect").arg(&image).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("command      /java Tiny\n"));
}

#[test]
fn usage_errors_are_prefixed_too() {
    let output = hotfork().args(["restore", "--listen", "x", "image"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).lines().all(|line| line.starts_with("hotfork: ")), "{}", stderr(&output));
    assert!(stderr(&output).contains("write OLD=NEW with port numbers"), "{}", stderr(&output));
}

#[test]
fn the_descriptor_for_the_times_stays_open_and_ignored_signals_are_told() {
    let scratch = Scratch::new("times");
    let image = scratch.image(&Tiny::new().bytes());
    let times = scratch.0.join("times");
    let script = "trap '' HUP INT && exec \"$0\" restore --times \"$1\" \"$2\" > /dev/null";
    let program = env!("CARGO_BIN_EXE_hotfork");
    let output =
        std::process::Command::new("sh").args(["-c", script, program]).args([&times, &image]).output().unwrap();
    assert_eq!(output.status.code(), Some(GOOD), "{}", stderr(&output));
    let told = std::fs::read(&times).unwrap();
    assert_eq!(u64::from_le_bytes(told[..8].try_into().unwrap()), 0b11, "SIGHUP and SIGINT");
    assert_eq!(&told[16..], DATA_TEXT.as_bytes());
}

/// Restores with `image` on the processors that the calling thread may use, and says whether there was a second thread.
fn has_second_thread(scratch: &Scratch, image: &std::path::Path) -> bool {
    let times = scratch.0.join("times");
    let output = hotfork().args(["restore", "--times"]).args([&times, image]).output().unwrap();
    assert_eq!(output.status.code(), Some(GOOD), "{}", stderr(&output));
    let told = std::fs::read(&times).unwrap();
    std::fs::remove_file(&times).unwrap();
    u64::from_le_bytes(told[8..16].try_into().unwrap()) != 0
}

#[test]
fn a_second_thread_maps_ahead_where_there_is_another_processor() {
    let scratch = Scratch::new("second");
    let image = scratch.image(&Tiny::new().bytes());
    let own = sched_getaffinity(Pid::from_raw(0)).unwrap();
    let processors: Vec<usize> = (0..CpuSet::count()).filter(|&cpu| own.is_set(cpu).unwrap()).collect();
    // Not where the machine is busy, with other tests for one: some of many restores.
    let seen = (0..200).any(|_| has_second_thread(&scratch, &image));
    assert_eq!(seen, processors.len() > 1);
    let mut one = CpuSet::new();
    one.set(processors[0]).unwrap();
    // Of this thread, and so of what it starts.
    sched_setaffinity(Pid::from_raw(0), &one).unwrap();
    assert!(!has_second_thread(&scratch, &image));
}

#[test]
fn what_lies_where_the_helper_is_waits_until_the_helper_is_gone() {
    let scratch = Scratch::new("zones");
    let mut tiny = Tiny::new();
    // From below hotfork's own code to far behind it, in one piece with the rest up to there.
    let length = 1 << 30;
    tiny.operations.insert(0, operation(OP_ANONYMOUS, PAGE, length, 0, libc::PROT_NONE));
    tiny.operations.insert(1, operation(OP_PRIVATE_FILE, PAGE, PAGE, PAGES_START + PAGE, libc::PROT_READ));
    let image = scratch.image(&tiny.bytes());
    for _ in 0..10 {
        let output = restore(&image);
        assert_eq!(output.status.code(), Some(GOOD), "{}", stderr(&output));
    }
}
