//! `hotfork run`, and the agent alone, which does the same.

use crate::cat::{Cat, Talk, agent_path};
use hotfork_tests::hotfork::{finish, inspected, no_unfinished, take};
use hotfork_tests::matrix::{Cell, Extent, World, cells, once};
use hotfork_tests::{During, Outcome, build, ensure, ensure_eq};
use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::sync::Arc;

pub fn trials(world: &Arc<World>) -> Vec<Trial> {
    [
        cells(world, "run::captures_then_restores", 17, Extent::Rotated(0), captures_then_restores),
        cells(world, "run::the_agent_alone_does_the_same", 17, Extent::Rotated(1), the_agent_alone_does_the_same),
        cells(world, "run::the_applications_word", 17, Extent::Rotated(2), the_applications_word),
        once(world, "run::a_deadline_for_the_word", a_deadline_for_the_word),
        once(world, "run::a_promise_is_not_inherited", a_promise_is_not_inherited),
        once(world, "run::never_replaces", never_replaces),
        once(world, "run::always_wants_an_image", always_wants_an_image),
        once(world, "run::a_changed_jar_is_told_and_replaces", a_changed_jar_is_told_and_replaces),
        once(world, "run::a_damaged_image_is_told_and_replaced", a_damaged_image_is_told_and_replaced),
        once(world, "run::another_command_does_not_get_the_image", another_command_does_not_get_the_image),
        once(world, "run::exit_halts_without_hooks", exit_halts_without_hooks),
        once(world, "run::a_jvm_that_ends_first_says_so", a_jvm_that_ends_first_says_so),
        once(world, "run::a_script_is_told_what_to_do", a_script_is_told_what_to_do),
        once(world, "run::quiet_is_quiet", quiet_is_quiet),
        once(world, "run::its_jar_is_no_temporary_file", its_jar_is_no_temporary_file),
        once(world, "run::a_wrong_agent_option_stops_the_start", a_wrong_agent_option_stops_the_start),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// In the line that says that the image is there.
const SAVED: &str = "saving took";
const SOON: [&str; 2] = ["--when", "after=300ms"];

/// The first start of a command: it captures itself, and goes on.
fn first(cat: &Cat, command: Command) -> Outcome<Talk> {
    let talk = Talk::start("first run", command)?;
    talk.is_new()?;
    talk.hotfork_tells(SAVED)?;
    ensure!(cat.image().is_file(), "{}", talk.process.tell("said that there is an image, and there is none"));
    no_unfinished(&cat.image())?;
    Ok(talk)
}

fn captures_then_restores(cell: &Cell) -> Outcome {
    let cat = Cat::new(cell)?;
    let mut one = first(&cat, cat.run(&SOON))?;
    // What `run` tells its agent by the environment is no part of the application's.
    one.say("env HOTFORK_RUN_PID")?;
    one.process.says("HOTFORK_RUN_PID is null")?;
    reports(&cat, &one.hotfork_tells(SAVED)?)?;
    let mut two = Talk::start("second run", cat.run(&SOON))?;
    two.is_restored("from the second")?;
    one.say("from the first")?;
    two.say("fail on stderr")?;
    two.process.tells_such("what it prints on stderr", |line| line == "on stderr")?;
    one.exits(5)?;
    two.exits(6)?;
    let mut three = Talk::start("third run", cat.run(&SOON))?;
    three.is_restored("from the third")?;
    three.process.signal(Signal::SIGTERM)?;
    three.process.says("HOOK ran")?;
    three.process.ends_with(143)
}

/// The line on stderr, and the report beside the image.
fn reports(cat: &Cat, line: &str) -> Outcome {
    for word in ["MB", "stood still", " ms", "saving took"] {
        ensure!(line.contains(word), "the report does not say {word:?}: {line}");
    }
    let path = cat.image().with_file_name("image.report.json");
    let text = std::fs::read_to_string(&path).during(format_args!("read {}", path.display()))?;
    let report: serde_json::Value = serde_json::from_str(&text).during(format_args!("parse {text}"))?;
    ensure!(report.is_object(), "the report is {report}");
    Ok(())
}

fn the_agent_alone_does_the_same(cell: &Cell) -> Outcome {
    let cat = Cat::new(cell)?;
    let options = "when=after=300ms,restore=auto";
    let mut one = first(&cat, cat.agent(options))?;
    let mut two = Talk::start("second start", cat.agent(options))?;
    two.is_restored("once more")?;
    one.exits(0)?;
    two.exits(9)
}

/// A command with the Java interface on its class path.
pub fn with_interface(cat: &Cat, before: &[&str]) -> Command {
    let mut command = match before {
        [] => Command::new(cat.cell.jdk.java()),
        _ => {
            let mut run = hotfork_tests::hotfork::command(["run", "--image"]);
            run.arg(cat.image()).args(before).arg("--").arg(cat.cell.jdk.java());
            run
        }
    };
    let class_path = format!("{}:{}", cat.jar().display(), build::interface_jar().display());
    command.args([cat.cell.collector.flag(), "-Xmx64m", "-cp", &class_path, "Cat", "an argument"]);
    command.current_dir(&*cat.scratch);
    command
}

fn occasion(cat: &Cat) -> Outcome<String> {
    Ok(inspected(&cat.image())?["taken"]["occasion"].as_str().unwrap_or_default().to_owned())
}

/// The image is taken when the application says that it is ready, once.
fn the_applications_word(cell: &Cell) -> Outcome {
    let cat = Cat::new(cell)?;
    let mut plain = Talk::start("java without the agent", with_interface(&cat, &[]))?;
    plain.say("ready")?;
    plain.process.says("ready? false")?;
    plain.exits(0)?;
    let mut one = Talk::start("first run", with_interface(&cat, &["--when", "ready"]))?;
    one.is_new()?;
    one.say("not yet")?;
    ensure!(!cat.image().exists(), "there is an image before the application was ready");
    one.say("ready")?;
    one.process.says("ready? true")?;
    one.hotfork_tells(SAVED)?;
    one.say("ready")?;
    one.process.says("ready? false")?;
    ensure_eq!(occasion(&cat)?, "ready, said the application", "occasion in inspect --json");
    let mut two = Talk::start("second run", with_interface(&cat, &["--when", "ready"]))?;
    two.is_restored("hello")?;
    two.say("ready")?;
    two.process.says("ready? false")?;
    one.exits(0)?;
    two.exits(0)
}

fn a_deadline_for_the_word(cell: &Cell) -> Outcome {
    let cat = Cat::new(cell)?;
    let mut one = Talk::start("a run", with_interface(&cat, &["--when", "ready", "--deadline", "300ms"]))?;
    one.is_new()?;
    one.hotfork_tells(SAVED)?;
    let occasion = occasion(&cat)?;
    ensure!(occasion.starts_with("not ready at the deadline"), "occasion in inspect --json: {occasion}");
    one.say("ready")?;
    one.process.says("ready? false")?;
    one.exits(0)?;
    finish("run", cat.run(&["--when", "after=9s", "--deadline", "5s"]))?.fails(2, &["--deadline", "--when ready"])?;
    let command = with_interface(&cat, &["--restore", "never", "--when", "ready"]);
    let mut waiting = Talk::start("one that ends first", command)?;
    waiting.is_new()?;
    waiting.exits(0)?;
    let said = waiting.process.err.text();
    ensure!(said.contains("ended before"), "stderr says {said}");
    Ok(())
}

/// An image of a JVM that waits for its moment: its instances wait for nothing, and do not take it for theirs.
fn a_promise_is_not_inherited(cell: &Cell) -> Outcome {
    let cat = Cat::new(cell)?;
    let mut waiting = Talk::start("one that waits", with_interface(&cat, &["--when", "ready"]))?;
    waiting.is_new()?;
    take(waiting.process.pid(), &cat.image())?;
    let mut instance = Talk::start("instance", cat.restore())?;
    instance.is_restored("hello")?;
    instance.say("ready")?;
    instance.process.says("ready? false")?;
    instance.exits(0)?;
    let said = instance.process.err.text();
    ensure!(!said.contains("ended before"), "the instance was promised nothing, and says {said}");
    // The JVM itself still waits.
    waiting.say("ready")?;
    waiting.process.says("ready? true")?;
    waiting.hotfork_tells(SAVED)?;
    ensure_eq!(occasion(&cat)?, "ready, said the application", "occasion in inspect --json");
    waiting.exits(0)
}

fn never_replaces(cell: &Cell) -> Outcome {
    let cat = Cat::new(cell)?;
    first(&cat, cat.run(&SOON))?.exits(0)?;
    let before = inode(&cat)?;
    let mut again = first(&cat, cat.run(&[SOON[0], SOON[1], "--restore", "never"]))?;
    ensure!(inode(&cat)? != before, "the image was not replaced");
    again.exits(0)?;
    let mut restored = Talk::start("restore of the new image", cat.restore())?;
    restored.is_restored("hello")?;
    restored.exits(0)
}

fn inode(cat: &Cat) -> Outcome<u64> {
    Ok(cat.image().metadata().during("look at the image")?.ino())
}

fn always_wants_an_image(cell: &Cell) -> Outcome {
    let cat = Cat::new(cell)?;
    let failed = finish("run", cat.run(&["--restore", "always"]))?;
    ensure!((1..120).contains(&failed.code), "exit status {}", failed.code);
    let code = failed.code;
    failed.fails(code, &["image"])?;
    first(&cat, cat.run(&SOON))?.exits(0)?;
    let mut restored = Talk::start("run", cat.run(&["--restore", "always"]))?;
    restored.is_restored("hello")?;
    restored.exits(0)?;
    change_jar(&cat)?;
    finish("run", cat.run(&["--restore", "always"]))?.fails(111, &["cat.jar"]).map(drop)
}

/// Another build of the application: other bytes, other time.
fn change_jar(cat: &Cat) -> Outcome {
    // A zip file may end in anything that its directory's comment length does not count: java takes it.
    let mut bytes = std::fs::read(cat.jar()).during("read the jar")?;
    let end = bytes.len();
    bytes[end - 2..].copy_from_slice(&4_u16.to_le_bytes());
    bytes.extend(b"more");
    std::fs::write(cat.jar(), bytes).during("write the jar")
}

fn a_changed_jar_is_told_and_replaces(cell: &Cell) -> Outcome {
    let cat = Cat::new(cell)?;
    first(&cat, cat.run(&SOON))?.exits(0)?;
    let before = inode(&cat)?;
    change_jar(&cat)?;
    finish("restore", cat.restore())?.fails(111, &["cat.jar"])?;
    let mut again = first(&cat, cat.run(&SOON))?;
    again.hotfork_tells("cat.jar")?;
    ensure!(inode(&cat)? != before, "the image was not replaced");
    again.exits(0)
}

fn a_damaged_image_is_told_and_replaced(cell: &Cell) -> Outcome {
    let cat = Cat::new(cell)?;
    std::fs::write(cat.image(), "no image").during("write a file")?;
    let mut again = first(&cat, cat.run(&SOON))?;
    let lines = again.process.err.text();
    ensure!(lines.lines().next().is_some_and(|line| line.contains("not a Hotfork image")), "stderr says {lines}");
    again.exits(0)
}

fn another_command_does_not_get_the_image(cell: &Cell) -> Outcome {
    let cat = Cat::new(cell)?;
    first(&cat, cat.run(&SOON))?.exits(0)?;
    let mut other = cat.run(&["--restore", "always"]);
    other.arg("one more");
    finish("run of another command", other)?.fails(111, &[]).map(drop)
}

fn exit_halts_without_hooks(cell: &Cell) -> Outcome {
    let cat = Cat::new(cell)?;
    let mut halted = Talk::start("run --exit", cat.run(&[SOON[0], SOON[1], "--exit"]))?;
    halted.process.ends_with(0)?;
    ensure!(!halted.process.out.text().contains("HOOK"), "{}", halted.process.tell("ran its hooks"));
    ensure_eq!(hotfork_tests::remains::files_of(halted.process.pid()).len(), 0, "files of the halted JVM");
    let mut restored = Talk::start("run", cat.run(&[]))?;
    restored.is_restored("hello")?;
    restored.exits(3)
}

fn a_jvm_that_ends_first_says_so(cell: &Cell) -> Outcome {
    let cat = Cat::new(cell)?;
    let mut early = Talk::start("run", cat.run(&["--when", "after=10m"]))?;
    early.is_new()?;
    early.exits(4)?;
    let lines = early.process.err.text();
    ensure_eq!(lines.lines().filter(|line| line.starts_with("hotfork: ")).count(), 1, "lines of Hotfork's in {lines}");
    ensure!(lines.contains("ended before"), "stderr says {lines}");
    ensure!(!cat.image().exists(), "there is an image");
    no_unfinished(&cat.image())
}

fn a_script_is_told_what_to_do(cell: &Cell) -> Outcome {
    let cat = Cat::new(cell)?;
    let mut run = hotfork_tests::hotfork::command(["run", "--image"]);
    run.arg(cat.image()).args(["--", "/bin/sh", "-c", "exec java"]);
    finish("run of a script", run)?.fails(2, &["JAVA_TOOL_OPTIONS", "-agentpath"]).map(drop)
}

/// A jar that the command names is not carried in the image, not even from the temporary directory.
fn its_jar_is_no_temporary_file(cell: &Cell) -> Outcome {
    let cat = Cat::new(cell)?;
    let mut java = std::process::Command::new(cell.jdk.java());
    java.arg(format!("-Djava.io.tmpdir={}", cat.scratch.display())).args(cat.arguments()).current_dir(&*cat.scratch);
    let mut original = Talk::start("original", java)?;
    original.is_new()?;
    take(original.process.pid(), &cat.image())?;
    let descriptors = inspected(&cat.image())?["descriptors"]["descriptions"].clone();
    let jar = cat.jar().display().to_string();
    let kinds: Vec<_> = descriptors.as_array().into_iter().flatten().map(|one| &one["kind"]).collect();
    ensure!(kinds.iter().any(|kind| kind["Regular"]["path"] == jar.as_str()), "the jar is not among {descriptors}");
    ensure!(kinds.iter().all(|kind| kind["Carried"]["path"] != jar.as_str()), "the jar is carried: {descriptors}");
    original.exits(0)?;
    finish("restore", cat.restore())?.succeeds()?;
    Ok(())
}

fn quiet_is_quiet(cell: &Cell) -> Outcome {
    let cat = Cat::new(cell)?;
    let mut quiet = Talk::start("run --quiet", cat.run(&[SOON[0], SOON[1], "--quiet"]))?;
    quiet.is_new()?;
    hotfork_tests::wait::until(hotfork_tests::process::LIMIT, "there is an image", || cat.image().exists())?;
    quiet.exits(0)?;
    let text = quiet.process.err.text();
    ensure!(!text.contains("hotfork:"), "stderr says {text}");
    Ok(())
}

fn a_wrong_agent_option_stops_the_start(cell: &Cell) -> Outcome {
    let cat = Cat::new(cell)?;
    for (option, word) in [("colour=red", "colour"), ("when=soon", "when=soon"), ("mode=9", "mode=9")] {
        let mut java = Command::new(cell.jdk.java());
        java.arg(agent_path(option)).args(cat.arguments());
        let failed = finish("java", java)?;
        ensure!(failed.code != 0, "the JVM started with {option}");
        let lines: Vec<&str> = failed.err.lines().filter(|line| line.starts_with("hotfork: ")).collect();
        ensure!(lines.len() == 1 && lines[0].contains(word), "stderr says {}", failed.err);
        ensure!(!failed.out.contains("READY"), "the application ran");
    }
    Ok(())
}
