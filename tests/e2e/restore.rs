//! `hotfork restore`, `snapshot`, `inspect` and `check` as their users type them.

use crate::cat::{Cat, Talk, agent_path};
use hotfork_tests::hotfork::{command, finish, run, snapshot, snapshot_arguments};
use hotfork_tests::matrix::{Cell, Extent, World, cells, once};
use hotfork_tests::process::Process;
use hotfork_tests::subject::How;
use hotfork_tests::{During, Outcome, build, ensure, ensure_eq, ports, proc};
use libtest_mimic::Trial;
use serde_json::Value;
use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;
use std::sync::Arc;

pub fn trials(world: &Arc<World>) -> Vec<Trial> {
    [
        once(world, "cli::help_and_usage", help_and_usage),
        cells(world, "cli::inspect_and_check", 17, Extent::Rotated(2), inspect_and_check),
        once(world, "cli::restored_from_another_directory", restored_from_another_directory),
        once(world, "cli::nothing_of_the_helper_stays", nothing_of_the_helper_stays),
        once(world, "cli::the_vdso_is_in_the_way", the_vdso_is_in_the_way),
        once(world, "cli::processors_of_the_restorer", processors_of_the_restorer),
        once(world, "cli::closed_descriptors", closed_descriptors),
        once(world, "cli::ports", listening_elsewhere),
        once(world, "cli::two_snapshots_at_a_time", two_snapshots_at_a_time),
        once(world, "cli::snapshot_exit", snapshot_exit),
        once(world, "cli::snapshot_uses_the_image_of_the_agent", snapshot_uses_the_image_of_the_agent),
        once(world, "cli::snapshot_of_what_is_no_jvm", snapshot_of_what_is_no_jvm),
        cells(world, "cli::snapshot_without_attach", 17, Extent::Rotated(1), snapshot_without_attach),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn help_and_usage(_: &Cell) -> Outcome {
    let help = run(["--help"])?.succeeds()?.out;
    for verb in ["run", "snapshot", "restore", "inspect", "check"] {
        ensure!(help.contains(verb), "--help does not know {verb}");
        let of_verb = run([verb, "--help"])?.succeeds()?.out;
        ensure!(of_verb.contains("Usage: hotfork"), "{verb} --help says {of_verb}");
    }
    ensure!(help.contains("114"), "--help does not list the exit codes");
    for wrong in [
        &["fly"][..],
        &["restore"],
        &["snapshot", "x"],
        &["run", "--image", "i"],
        &["restore", "f", "--listen", "8080"],
    ] {
        let failed = run(wrong)?;
        ensure_eq!(failed.code, 2, "exit status of {wrong:?}");
        ensure!(failed.err.lines().all(|line| line.starts_with("hotfork: ")), "{wrong:?} says {}", failed.err);
    }
    Ok(())
}

fn inspect_and_check(cell: &Cell) -> Outcome {
    let cat = Cat::new(cell)?;
    let mut original = cat.taken()?;
    let image = cat.image();
    let inspected = json(&run([("inspect").as_ref(), image.as_os_str(), "--json".as_ref()])?.succeeds()?.out)?;
    ensure_eq!(inspected["taken"]["pid"], original.process.pid(), "pid in inspect --json");
    let version = inspected["jdk"]["vm_version"].as_str().unwrap_or_default();
    ensure!(version.starts_with(&cell.jdk.major.to_string()), "jdk in inspect --json is {version}");
    let collector = inspected["jdk"]["collector"].as_str().unwrap_or_default();
    ensure!(collector.to_lowercase().contains(cell.collector.name()), "collector in inspect --json is {collector}");
    let threads = inspected["threads"].as_array().map_or(0, Vec::len);
    ensure!(threads > 5, "{threads} threads in inspect --json");
    let arguments = &inspected["command"]["arguments"];
    ensure!(
        arguments.as_array().is_some_and(|list| list.contains(&"an argument".into())),
        "command in inspect: {arguments}"
    );
    for key in ["size", "digest", "mappings", "pages", "descriptors", "cwd"] {
        ensure!(!inspected[key].is_null(), "inspect --json has no {key}");
    }
    let bytes = |key: &str| inspected[key].as_u64().unwrap_or(0);
    ensure!(0 < bytes("size") && bytes("size") < bytes("file_length"), "an image without holes: {}", inspected["size"]);
    let text = run(["inspect".as_ref(), image.as_os_str()])?.succeeds()?.out;
    for word in ["jdk", "collector", "threads", "digest", "an argument"] {
        ensure!(text.contains(word), "inspect does not say {word}: {text}");
    }
    for checked in [run(["check", "--json"])?, run(["check".as_ref(), image.as_os_str(), "--json".as_ref()])?] {
        let answer = json(&checked.succeeds()?.out)?;
        ensure_eq!(answer["ok"], true, "check --json says {answer}");
    }
    original.exits(0)
}

fn json(text: &str) -> Outcome<Value> {
    serde_json::from_str(text).during(format_args!("parse as JSON: {text}"))
}

fn restored_from_another_directory(cell: &Cell) -> Outcome {
    let stage = cell.stage("CommandLine")?;
    let mut original = stage.start(How::Plain)?;
    hotfork_tests::hotfork::take(original.pid(), &stage.image())?;
    let mut instance = stage.restore_with(&stage.image(), |command| {
        command.current_dir("/");
    })?;
    stage.check(&mut instance)?;
    stage.check(&mut original)
}

/// What the restoring process had mapped is in nobody's way, and goes when the application has run for a while; a page or two stay, with the
/// environment.
fn nothing_of_the_helper_stays(cell: &Cell) -> Outcome {
    const KEPT: u64 = 64 << 10;
    let cat = Cat::new(cell)?;
    let mut original = cat.taken()?;
    let of_the_jvm = proc::mappings(original.process.pid())?;
    let mut instance = Talk::start("instance", cat.restore())?;
    instance.is_restored("hello")?;
    let pid = instance.process.pid();
    let further = || -> Outcome<Vec<_>> {
        let mut further = proc::mappings(pid)?;
        let known = |range: &std::ops::Range<u64>| {
            of_the_jvm.iter().any(|(had, _)| had.start < range.end && range.start < had.end)
        };
        further.retain(|(range, name)| !known(range) && !name.starts_with("[v"));
        Ok(further)
    };
    let kept = |further: &[(std::ops::Range<u64>, String)]| {
        let bytes: u64 = further.iter().map(|(range, _)| range.end - range.start).sum();
        bytes <= KEPT
    };
    hotfork_tests::wait::until(hotfork_tests::process::LIMIT, "the helper's memory is given back", || {
        further().is_ok_and(|further| kept(&further))
    })
    .map_err(|why| instance.process.tell(&format!("{why}: {:x?}", further())))?;
    let further = further()?;
    ensure!(!further.iter().any(|(_, name)| name.starts_with('/')), "files of the helper: {further:x?}");
    instance.exits(0)?;
    original.exits(0)
}

/// Where addresses are not random, the restoring process has its vdso where the JVM has memory: it moves. Else it stays where it is.
fn the_vdso_is_in_the_way(cell: &Cell) -> Outcome {
    let not_random = |command: &Command| {
        let mut setarch = Command::new("setarch");
        setarch.arg("-R").arg(command.get_program()).args(command.get_args());
        setarch
    };
    let cat = Cat::new(cell)?;
    let mut java = Command::new(cat.cell.jdk.java());
    java.args(cat.arguments());
    let mut original = Talk::start("original", not_random(&java))?;
    original.is_new()?;
    hotfork_tests::hotfork::take(original.process.pid(), &cat.image())?;
    let vdso_before = proc::mapping(original.process.pid(), "[vdso]")?;
    original.exits(0)?;
    let mut instance = Talk::start("instance in its way", not_random(&cat.restore()))?;
    instance.is_restored("hello")?;
    let vdso = proc::mapping(instance.process.pid(), "[vdso]")?;
    // The widest gap of all is far below the top of a process, where the kernel puts its own.
    ensure!(vdso.start < vdso_before.start / 2, "the vdso has not moved: it is at {vdso:x?}, was at {vdso_before:x?}");
    instance.exits(0)
}

/// All threads of an instance may use what the restoring process might, whichever of its threads made them.
fn processors_of_the_restorer(cell: &Cell) -> Outcome {
    const FIELD: &str = "Cpus_allowed_list";
    let cat = Cat::new(cell)?;
    cat.taken()?.exits(0)?;
    let all = proc::status(std::process::id(), FIELD)?;
    let first = all.split(['-', ',']).next().unwrap_or_default();
    // Whether a second thread makes some of them depends on how busy the machine is in that moment.
    for allowed in [&*all, &all, &all, &all, first] {
        let mut restore = Command::new("taskset");
        let plain = cat.restore();
        restore.args(["-c", allowed]).arg(plain.get_program()).args(plain.get_args());
        let mut instance = Talk::start(&format!("instance on {allowed}"), restore)?;
        instance.is_restored("hello")?;
        let threads = proc::threads(instance.process.pid())?;
        ensure!(threads.len() > 5, "an instance with {} threads", threads.len());
        for (tid, name) in threads {
            ensure_eq!(proc::status(tid, FIELD)?, allowed, "processors of {name}");
        }
        instance.exits(0)?;
    }
    Ok(())
}

/// Closed standard descriptors are /dev/null to the instance, and nobody's file.
fn closed_descriptors(cell: &Cell) -> Outcome {
    let stage = cell.stage("FileAtOffset")?;
    let mut original = stage.start(How::Plain)?;
    hotfork_tests::hotfork::take(original.pid(), &stage.image())?;
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "exec \"$0\" restore \"$1\" <&- >&-"]).arg(build::helper()).arg(stage.image());
    let mut instance = Process::start("instance without stdin and stdout", shell)?;
    hotfork_tests::wait::until(hotfork_tests::process::LIMIT, "the instance is a java process", || {
        proc::command_line(instance.pid()).is_ok_and(|line| line.first().is_some_and(|name| name.ends_with("java")))
    })
    .map_err(|why| instance.tell(&why))?;
    for number in [0, 1] {
        let file =
            std::fs::read_link(format!("/proc/{}/fd/{number}", instance.pid())).during("look at a descriptor")?;
        ensure_eq!(file.as_os_str(), "/dev/null", "descriptor {number} of the instance");
    }
    stage.ask(&instance)?;
    instance.ends_with(0)?;
    stage.check(&mut original)
}

fn listening_elsewhere(cell: &Cell) -> Outcome {
    let stage = cell.stage("ServerSocketAccept")?;
    let port = stage.port().ok_or("no port")?.to_string();
    let mut original = stage.start(How::Plain)?;
    hotfork_tests::hotfork::take(original.pid(), &stage.image())?;
    let image = stage.image();
    let restore = |listen: &str| {
        let mut restore = command(["restore"]);
        restore.arg(&image).args(["--listen", listen]);
        restore
    };
    run(["restore".as_ref(), image.as_os_str()])?.fails(113, &[&port, "in use", "--listen"])?;
    let taken = ports::claim()?;
    let _holder = TcpListener::bind((Ipv4Addr::UNSPECIFIED, taken.number)).during("hold a port")?;
    finish("restore", restore(&format!("{port}={}", taken.number)))?
        .fails(113, &[&taken.number.to_string(), "in use"])?;
    finish("restore", restore("9=0"))?.fails(2, &["--listen", "9"])?;
    let free = ports::claim()?;
    let mut instance = stage.watch(Process::start("instance", restore(&format!("{port}={}", free.number)))?)?;
    ensure_eq!(hotfork_tests::subject::listening(&instance, stage.port().unwrap_or(0))?, free.number, "the port told");
    stage.check(&mut instance)?;
    stage.check(&mut original)?;
    // Nobody has the old port any more: the instance may.
    let mut at_home = Process::start("instance at the old port", command(["restore".as_ref(), image.as_os_str()]))?;
    stage.check(&mut at_home)
}

fn two_snapshots_at_a_time(cell: &Cell) -> Outcome {
    let stage = cell.stage("LargeHeap")?;
    let mut original = stage.start(How::Agent)?;
    let other = stage.scratch.join("other-image");
    let start = |image| Process::start("snapshot", command(snapshot_arguments(original.pid(), image)));
    let mut both = [start(&stage.image())?, start(&other)?];
    let mut done = 0;
    for snapshot in &mut both {
        match snapshot.ends()?.code() {
            Some(0) => done += 1,
            Some(114) => ensure!(snapshot.err.text().contains("under way"), "{}", snapshot.tell("is refused")),
            _ => return Err(snapshot.tell("ended wrongly")),
        }
    }
    ensure!(done > 0, "both snapshots were refused");
    for image in [stage.image(), other].iter().filter(|image| image.exists()) {
        let mut instance = stage.restore_with(image, |_| {})?;
        stage.check(&mut instance)?;
    }
    stage.check(&mut original)
}

fn snapshot_exit(cell: &Cell) -> Outcome {
    let stage = cell.stage("SigTerm")?;
    let mut original = stage.start(How::Plain)?;
    let mut arguments = snapshot_arguments(original.pid(), &stage.image());
    arguments.push("--exit".into());
    run(arguments)?.succeeds()?;
    original.ends_with(0)?;
    ensure!(!original.out.text().contains("HOOK"), "{}", original.tell("ran its hooks"));
    let mut instance = stage.restore()?;
    stage.check(&mut instance)
}

fn snapshot_uses_the_image_of_the_agent(cell: &Cell) -> Outcome {
    let cat = Cat::new(cell)?;
    let mut original = Talk::start("run --when manual", cat.run(&[]))?;
    original.is_new()?;
    run(["snapshot", &original.process.pid().to_string(), "--max-stop", "2s"])?.succeeds()?;
    let mut instance = Talk::start("instance", cat.restore())?;
    instance.is_restored("hello")?;
    instance.exits(0)?;
    original.exits(0)
}

fn snapshot_of_what_is_no_jvm(cell: &Cell) -> Outcome {
    let cat = Cat::new(cell)?;
    let mut sleeper = Command::new("sleep");
    sleeper.arg("1000");
    let mut sleeper = Process::start("sleep", sleeper)?;
    let refused = snapshot(sleeper.pid(), &cat.image())?;
    let code = refused.code;
    ensure!(code == 114, "exit status {code}: {}", refused.err);
    refused.fails(code, &[&sleeper.pid().to_string()])?;
    ensure!(sleeper.alive()?, "a process that is no JVM did not survive");
    let pid = sleeper.pid();
    drop(sleeper);
    let gone = snapshot(pid, &cat.image())?;
    let code = gone.code;
    ensure!(code != 0, "a process that is gone was captured");
    gone.fails(code, &[&pid.to_string()])?;
    let mut java = Command::new(cell.jdk.java());
    java.arg("-XX:+DisableAttachMechanism").args(cat.arguments());
    let mut deaf = Talk::start("java without attach", java)?;
    deaf.is_new()?;
    snapshot(deaf.process.pid(), &cat.image())?.fails(114, &["attach"])?;
    deaf.say("still here")?;
    deaf.exits(0)
}

/// The agent listens by itself; its socket is no part of the capture.
fn snapshot_without_attach(cell: &Cell) -> Outcome {
    let cat = Cat::new(cell)?;
    let socket = cat.scratch.join("control");
    let start = |name: &str| {
        let mut java = Command::new(cell.jdk.java());
        java.arg(agent_path(&format!("control={}", socket.display()))).arg("-XX:+DisableAttachMechanism");
        java.args(cat.arguments()).current_dir(&*cat.scratch);
        Talk::start(name, java)
    };
    // One that was killed leaves its socket.
    let killed = start("a JVM to kill")?;
    killed.is_new()?;
    ensure!(socket.exists(), "{}", killed.process.tell("has no control socket"));
    drop(killed);
    let mut original = start("java without attach")?;
    original.is_new()?;
    for _ in 0..2 {
        snapshot(original.process.pid(), &cat.image())?.succeeds()?;
        original.say("still here")?;
    }
    let mut instance = Talk::start("instance", cat.restore())?;
    instance.is_restored("hello")?;
    // The captured JVM has the socket, so nobody hears for this one.
    snapshot(instance.process.pid(), &cat.scratch.join("second"))?.fails(114, &["attach", "control=SOCKET"])?;
    original.exits(0)?;
    ensure!(!socket.exists(), "the JVM left its control socket");
    instance.exits(0)?;
    // Without a living one the first instance has it.
    let mut instance = Talk::start("another instance", cat.restore())?;
    instance.is_restored("hello")?;
    snapshot(instance.process.pid(), &cat.scratch.join("second"))?.succeeds()?;
    instance.exits(0)?;
    ensure!(!socket.exists(), "the instance left its control socket");
    Ok(())
}
