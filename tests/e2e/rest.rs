//! What is awaited before a capture.

use crate::cat::{Cat, Talk};
use crate::tools::tool;
use hotfork_tests::hotfork::{finish, inspected, snapshot_at_rest};
use hotfork_tests::jdk::Jdk;
use hotfork_tests::matrix::{Cell, Extent, World, cells};
use hotfork_tests::process::LIMIT;
use hotfork_tests::subject::How;
use hotfork_tests::{During, Outcome, ensure, ensure_eq, proc, wait};
use libtest_mimic::Trial;
use object::{Object, ObjectSymbol};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

pub fn trials(world: &Arc<World>) -> Vec<Trial> {
    let mut trials = cells(world, "rest::compilers", 17, Extent::Rotated(3), compilers);
    trials.extend(cells(world, "rest::flags", 17, Extent::Rotated(3), flags));
    trials.extend(cells(world, "rest::monitors", 17, Extent::Rotated(1), monitors));
    trials.extend(cells(world, "rest::in_hand", 17, Extent::Rotated(0), in_hand));
    trials.extend(cells(world, "rest::the_sweeper", 17, Extent::Rotated(1), the_sweeper));
    trials
}

fn rest_of(image: &Path) -> Outcome<String> {
    Ok(inspected(image)?["taken"]["rest"].as_str().unwrap_or_default().to_owned())
}

/// Flags that are written for the rest are put back, in the JVM and in its instances.
fn flags(cell: &Cell) -> Outcome {
    let cat = Cat::new(cell)?;
    let mut java = Command::new(cell.jdk.java());
    java.arg("-XX:+UnlockDiagnosticVMOptions").args(cat.arguments()).current_dir(&*cat.scratch);
    let mut original = Talk::start("original", java)?;
    original.is_new()?;
    original.say("work")?;
    let before = flags_of(cell, &original)?;
    snapshot_at_rest(original.process.pid(), &cat.image())?.succeeds()?;
    let rest = rest_of(&cat.image())?;
    ensure!(rest.contains("collected in"), "what was done to a busy JVM: {rest}");
    ensure_eq!(flags_of(cell, &original)?, before, "flags after the capture");
    let mut instance = Talk::start("instance", cat.restore())?;
    instance.is_restored("hello")?;
    ensure_eq!(flags_of(cell, &instance)?, before, "flags of the instance");
    instance.exits(0)?;
    original.exits(0)
}

/// The flags that are touched, as jcmd shows them.
fn flags_of(cell: &Cell, talk: &Talk) -> Outcome<Vec<String>> {
    let text = tool(&cell.jdk, "jcmd", &[&talk.process.pid().to_string(), "VM.flags", "-all"])?.out;
    let names = ["GuaranteedAsyncDeflationInterval", "DisableExplicitGC", "ExplicitGCInvokesConcurrent "];
    let lines: Vec<String> =
        text.lines().filter(|line| names.iter().any(|name| line.contains(name))).map(str::to_owned).collect();
    ensure_eq!(lines.len(), names.len(), "flags in {lines:?}");
    Ok(lines)
}

/// JDK 17's sweeper counts in an instance from 0, and in the captured JVM from where it was.
fn the_sweeper(cell: &Cell) -> Outcome {
    const COUNT: &str = "_ZN14NMethodSweeper14_bytes_changedE";
    let Some(count) = symbol_of_libjvm(&cell.jdk, COUNT)? else {
        // It is gone since JDK 20.
        return if cell.jdk.major < 20 { Err(format!("libjvm has no symbol {COUNT}")) } else { Ok(()) };
    };
    let cat = Cat::new(cell)?;
    let mut original = cat.talk()?;
    let pid = original.process.pid();
    // It goes through the code at some 1.2 MB; this program changes a tenth of that.
    let before = 500_000;
    libjvm_word(pid, count)?.write(before)?;
    hotfork_tests::hotfork::take(pid, &cat.image())?;
    let after = libjvm_word(pid, count)?.read()?;
    ensure!(after >= before, "the captured JVM counts {after} bytes after {before}");
    let mut instance = Talk::start("instance", cat.restore())?;
    instance.is_restored("hello")?;
    let counted = libjvm_word(instance.process.pid(), count)?.read()?;
    ensure!(counted < before, "an instance goes on counting from {before}: {counted}");
    instance.exits(0)?;
    original.exits(0)
}

/// Its address in the file.
fn symbol_of_libjvm(jdk: &Jdk, name: &str) -> Outcome<Option<u64>> {
    let path = jdk.home.join("lib/server/libjvm.so");
    let bytes = std::fs::read(&path).during(path.display())?;
    let file = object::File::parse(&*bytes).during(path.display())?;
    Ok(file.symbols().find(|symbol| symbol.name() == Ok(name)).map(|symbol| symbol.address()))
}

/// A word of libjvm's data in a process.
struct Word(File, u64);

fn libjvm_word(pid: u32, address: u64) -> Outcome<Word> {
    let mappings = proc::mappings(pid)?;
    let first = mappings.iter().find(|(_, name)| name.ends_with("/libjvm.so")).ok_or("libjvm.so is not mapped")?;
    let memory = File::options().read(true).write(true).open(format!("/proc/{pid}/mem")).during("open mem")?;
    Ok(Word(memory, first.0.start + address))
}

impl Word {
    fn read(&self) -> Outcome<u64> {
        let mut bytes = [0; 8];
        self.0.read_exact_at(&mut bytes, self.1).during("read a word of libjvm")?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn write(&self, value: u64) -> Outcome {
        self.0.write_all_at(&value.to_le_bytes(), self.1).during("write a word of libjvm")
    }
}

/// Deflated before the capture, they are not deflated again because an instance has napped for HotSpot's interval.
fn monitors(cell: &Cell) -> Outcome {
    let cat = Cat::new(cell)?;
    let mut java = Command::new(cell.jdk.java());
    java.arg("-Xlog:monitorinflation=info:stderr").args(cat.arguments()).current_dir(&*cat.scratch);
    let mut original = Talk::start("original", java)?;
    original.is_new()?;
    snapshot_at_rest(original.process.pid(), &cat.image())?.succeeds()?;
    let deflated = |talk: &Talk| talk.process.err.text().contains("begin deflating");
    ensure!(deflated(&original), "nothing was deflated: {}", original.process.err.text());
    let mut instance = Talk::start("instance", cat.restore())?;
    instance.is_restored("hello")?;
    let looked = looks_for_monitors(instance.process.pid())?;
    wait::until(LIMIT, "an instance's Monitor Deflation Thread has looked", || {
        looks_for_monitors(instance.process.pid()).is_ok_and(|now| now >= looked + 3)
    })?;
    ensure!(!deflated(&instance), "an instance deflates: {}", instance.process.err.text());
    instance.exits(0)?;
    original.exits(0)
}

/// How often the Monitor Deflation Thread has gone to sleep: it looks, and deflates if it is time, in between.
fn looks_for_monitors(pid: u32) -> Outcome<u64> {
    let threads = proc::threads(pid)?;
    let (tid, _) = threads.iter().find(|(_, name)| name.starts_with("Monitor Deflati")).ok_or("no such thread")?;
    let switches = proc::status(*tid, "voluntary_ctxt_switches")?;
    switches.parse().during(format_args!("voluntary_ctxt_switches {switches:?}"))
}

/// Compilers that come to rest are awaited; of those that do not, the image says so.
fn compilers(cell: &Cell) -> Outcome {
    let cat = Cat::new(cell)?;
    let mut quiet = cat.talk()?;
    snapshot_at_rest(quiet.process.pid(), &cat.image())?.succeeds()?;
    let rest = rest_of(&cat.image())?;
    ensure!(rest.contains("not collected: the application is idle"), "what was done to a quiet JVM: {rest}");
    ensure!(rest.contains("compilers idle"), "what was done to a quiet JVM: {rest}");
    quiet.exits(0)?;
    finish("restore", cat.restore())?.succeeds()?;

    let stage = cell.stage("JitStorm")?;
    let mut original = stage.start(How::ALL[0])?;
    snapshot_at_rest(original.pid(), &stage.image())?.succeeds()?;
    let rest = rest_of(&stage.image())?;
    ensure!(rest.contains("compilers still at work"), "what was done to a busy JVM: {rest}");
    let mut instance = stage.restore()?;
    stage.check(&mut instance)?;
    stage.check(&mut original)
}

/// What threads are at is ended before a capture, if that is soon, and nobody begins anything new meanwhile.
fn in_hand(cell: &Cell) -> Outcome {
    const IMAGES: usize = 3;
    // Where others take the processors, the threads may not all wait within the time that a lull is awaited.
    const CAPTURES: usize = 12;
    // Of six threads: at any moment four of them work.
    const AT_MOST: usize = 1;
    let cat = Cat::new(cell)?;
    let mut original = cat.talk()?;
    original.say("turns")?;
    let (mut cut, mut images) = (0, 0);
    for _ in 0..CAPTURES {
        snapshot_at_rest(original.process.pid(), &cat.image())?.succeeds()?;
        let rest = rest_of(&cat.image())?;
        let found = rest.contains(", a lull after ");
        ensure!(found || rest.ends_with(", no lull in time"), "whether there was a lull: {rest}");
        if !found {
            continue;
        }
        images += 1;
        let mut instance = Talk::start("instance", cat.restore())?;
        instance.is_restored("cut?")?;
        let said = instance.process.out.text();
        let count = said.lines().find_map(|line| line.strip_prefix("cut ")?.parse::<usize>().ok());
        cut += count.ok_or_else(|| instance.process.tell("does not say how many threads were cut"))?;
        instance.exits(0)?;
        if images == IMAGES {
            break;
        }
    }
    ensure_eq!(images, IMAGES, "captures of {CAPTURES} that found a lull");
    original.say("cut?")?;
    ensure!(original.process.out.text().contains("cut 0"), "{}", original.process.tell("its threads were cut"));
    ensure!(cut <= AT_MOST, "{cut} threads of {IMAGES} images were in the middle of their work");
    original.exits(0)
}
