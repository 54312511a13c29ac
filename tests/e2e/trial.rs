//! `--trial`: an instance of a new image is asked before the image gets its name.

use crate::bad_surroundings::Mounted;
use crate::cat::Talk;
use crate::web::Web;
use hotfork_tests::hotfork::{Finished, command, finish, inspected, no_unfinished, run, snapshot_arguments};
use hotfork_tests::jdk::Collector;
use hotfork_tests::matrix::{Cell, Extent, World, cells, once};
use hotfork_tests::ports;
use hotfork_tests::process::{LIMIT, Process};
use hotfork_tests::scratch;
use hotfork_tests::{During, Outcome, build, ensure, ensure_eq, proc, remains, skip, wait};
use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

pub fn trials(world: &Arc<World>) -> Vec<Trial> {
    [
        cells(world, "trial::it_is_asked_and_leaves_nothing", 17, Extent::Rotated(1), it_is_asked_and_leaves_nothing),
        once(world, "trial::from_a_noexec_mount", from_a_noexec_mount),
        once(world, "trial::of_a_load", of_a_load),
        once(world, "trial::one_other_address", one_other_address),
        once(world, "trial::a_poor_one_is_taken_again", a_poor_one_is_taken_again),
        once(world, "trial::a_poor_snapshot_is_taken_again", a_poor_snapshot_is_taken_again),
        once(world, "trial::a_jvm_that_ends_leaves_its_poor_snapshot", a_jvm_that_ends_leaves_its_poor_snapshot),
        once(world, "trial::a_poor_one_stays_where_others_are_no_better", a_poor_one_stays),
        cells(world, "trial::one_whose_code_left_out_what_instances_do_is_poor", 11, Extent::Rotated(1), code_left_out),
        once(world, "trial::a_poor_one_at_the_deadline_is_what_it_is", a_poor_one_at_the_deadline),
        once(world, "trial::not_found", not_found),
        once(world, "trial::another_port", another_port),
        once(world, "trial::it_ends_with_a_killed_helper", it_ends_with_a_killed_helper),
        once(world, "trial::not_for_another_user", not_for_another_user),
        once(world, "trial::wrong_addresses", wrong_addresses),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Here it appends a line for each request to its log.
impl Web {
    fn log(&self) -> Outcome<String> {
        std::fs::read_to_string(self.scratch.join("log")).during("read the log")
    }

    fn java(&self) -> Vec<std::ffi::OsString> {
        let mut words = vec![self.cell.jdk.java().into(), self.cell.collector.flag().into()];
        words.extend(["-Xmx64m".into(), "-cp".into(), build::programs_jar().into(), "Web".into(), "log".into()]);
        words
    }

    /// It listens, and has been asked some times.
    fn listens(&self, address: &str) -> Outcome<Talk> {
        self.listens_with(&[], address)
    }

    fn listens_with(&self, options: &[&str], address: &str) -> Outcome<Talk> {
        let words = self.java();
        let mut java = Command::new(&words[0]);
        java.args(options).args(&words[1..]).current_dir(&*self.scratch);
        let mut talk = Talk::start("original", java)?;
        talk.process.says("READY log")?;
        talk.say(&format!("open {}{address}", self.port.number))?;
        Ok(talk)
    }

    fn snapshot(&self, talk: &Talk, trials: &[&str]) -> Command {
        let mut snapshot = command(snapshot_arguments(talk.process.pid(), &self.image()));
        snapshot.args(trials.iter().flat_map(|url| ["--trial", url]));
        snapshot
    }

    fn tried(&self, talk: &Talk, trials: &[&str]) -> Outcome<Finished> {
        finish("snapshot", self.snapshot(talk, trials))?.succeeds()
    }

    fn trial(&self) -> Outcome<Value> {
        Ok(inspected(&self.image())?["trial"].clone())
    }

    /// The image is there, and line, report and `inspect` say alike why its trial failed.
    fn trial_failed(&self, finished: &Finished, words: &[&str]) -> Outcome {
        let trial = self.trial()?;
        let why = trial["Err"].as_str().unwrap_or_default();
        for word in words {
            ensure!(why.contains(word), "the trial's failure does not say {word:?}: {trial}");
        }
        ensure!(finished.err.contains(&format!("; its trial failed: {why}\n")), "the line: {}", finished.err);
        ensure_eq!(self.report()?["trial"], trial, "the report's trial");
        no_unfinished(&self.image())
    }

    fn report(&self) -> Outcome<Value> {
        let report = std::fs::read(self.scratch.join("image.report.json")).during("read the report")?;
        serde_json::from_slice(&report).during("the report")
    }

    /// After its original has ended: the port is free. Asked for nothing yet, the instance comes to have so many kilobytes of
    /// its own; how many it has then.
    fn restores(&self, options: &[&str], own: u64) -> Outcome<Kilobytes> {
        self.restores_and(options, own, |_| Ok(()))
    }

    /// What the trial's first request wrote is there before there is one, and what it read, if that can be told.
    fn brings_in_later(&self, reads_are_seen: bool, look: impl Fn(u32) -> Outcome) -> Outcome {
        const PAGE_KB: u64 = 4;
        let trial = self.trial()?;
        let pages = |what: &str| trial["Ok"][what].as_u64().ok_or("there was no trial");
        let (written, read) = (pages("pages_by_first_answer")?, pages("pages_read_by_first_answer")?);
        ensure!(written > 20 && read > 20, "the first request wrote {written} pages and read {read} only");
        let without = self.restores(&["--no-prefetch"], 0)?;
        let with = self.restores_and(&[], without.own + written * PAGE_KB / 2, look)?;
        // A page of a file becomes its own by being written.
        let (few, many) = (without.own + without.of_files, with.own + with.of_files);
        let (mapped, expected) = (many.saturating_sub(few), read * PAGE_KB / 2);
        ensure!(!reads_are_seen || mapped >= expected, "{many} KB are mapped, {few} without, for {read} pages read");
        Ok(())
    }

    fn restores_and(&self, options: &[&str], own: u64, look: impl Fn(u32) -> Outcome) -> Outcome<Kilobytes> {
        let mut restore = command(["restore"]);
        restore.arg(self.image()).args(options).current_dir(&*self.scratch);
        let mut instance = Talk::start("instance", restore)?;
        instance.say("hello")?;
        let pid = instance.process.pid();
        let kilobytes = || Kilobytes::of(pid);
        // They come within 50 ms; ten seconds later the JVM has written as many by itself.
        let soon = Duration::from_secs(5);
        wait::until(soon, "the instance has pages of its own", || kilobytes().is_ok_and(|now| now.own >= own))?;
        // With what it writes by itself in its first moments, and is brought in for it after them.
        let rests = || {
            let before = kilobytes();
            std::thread::sleep(Duration::from_millis(200));
            before.is_ok() && before == kilobytes()
        };
        wait::until(soon, "the instance rests", rests)?;
        let at_rest = kilobytes()?;
        look(pid)?;
        let before = self.log()?;
        ensure_eq!(self.asked()?, 4, "requests that the instance remembers, with this one");
        ensure_eq!(self.log()?, format!("{before}/\n"), "the log of an instance that is no trial's");
        instance.exits(0)?;
        Ok(at_rest)
    }
}

/// What a process has in memory.
#[derive(PartialEq)]
struct Kilobytes {
    own: u64,
    of_files: u64,
}

impl Kilobytes {
    fn of(pid: u32) -> Outcome<Self> {
        let of = |field: &str| {
            let text = proc::status(pid, field)?;
            text.trim_end_matches(" kB").parse().during(format_args!("{field} {text:?}"))
        };
        Ok(Self { own: of("RssAnon")?, of_files: of("RssFile")? })
    }
}

/// Instances that are restored from a file in this directory, by the command line of their first moment or by what they map.
fn instances(directory: &Path) -> BTreeSet<u32> {
    let directory = directory.to_string_lossy().into_owned();
    let numbers = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = numbers.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let maps = |pid: &u32| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
        text.lines().any(|line| line.split_once(&directory).is_some_and(|(_, file)| file.contains("image")))
    };
    pids.filter(maps).collect()
}

fn perf_files() -> BTreeSet<PathBuf> {
    let names = scratch::names(Path::new("/tmp")).unwrap_or_default();
    let directories =
        names.iter().filter(|name| name.starts_with("hsperfdata_")).map(|name| Path::new("/tmp").join(name));
    let files = directories.flat_map(|directory| {
        scratch::names(&directory).unwrap_or_default().into_iter().map(move |name| directory.join(name))
    });
    // Other tests' JVMs come and go; those that are left belong to nobody.
    let dead = |file: &PathBuf| file.file_name().is_some_and(|pid| !Path::new("/proc").join(pid).exists());
    files.filter(dead).collect()
}

/// What it wrote is brought in ahead; what it did is undone.
fn it_is_asked_and_leaves_nothing(cell: &Cell) -> Outcome {
    let web = Web::new(cell)?;
    let mut talk = web.listens("")?;
    for _ in 0..3 {
        web.asked()?;
    }
    let perf_files_before = perf_files();
    let finished = web.tried(&talk, &[&web.url("/"), &web.url("/?two")])?;
    ensure!(!finished.err.contains("trial failed"), "a line about a trial that did not fail: {}", finished.err);
    let trial = web.trial()?;
    for what in [
        "pages_before",
        "pages_by_first_answer",
        "pages_read_by_first_answer",
        "first_request_ns",
        "later_request_ns",
        "faults",
    ] {
        ensure!(trial["Ok"][what].as_u64().unwrap_or(0) > 0, "{what} in the trial {trial}");
    }
    ensure_eq!(web.log()?, "/\n/\n/\n", "the log after the trial");
    ensure_eq!(instances(&web.scratch), BTreeSet::new(), "instances of the image");
    wait::until(LIMIT, "no hsperfdata file of the instance is left", || perf_files().is_subset(&perf_files_before))?;
    no_unfinished(&web.image())?;
    talk.exits(0)?;
    // Shenandoah's own thread goes on reading: sooner or later as much is mapped without.
    web.brings_in_later(cell.collector != Collector::Shenandoah, |pid| {
        // The free heap behind it.
        ensure!(proc::with_huge_pages(pid)? > 0, "no mapping is to have huge pages");
        Ok(())
    })
}

/// Where code is copied, the restorer has a list of its own of what to do; what is brought in later follows from that.
fn from_a_noexec_mount(cell: &Cell) -> Outcome {
    let web = Web::new(cell)?;
    let Some(noexec) = Mounted::noexec(&web.scratch)? else { return Ok(()) };
    let mut talk = web.listens("")?;
    for _ in 0..3 {
        web.asked()?;
    }
    web.tried(&talk, &[&web.url("/")])?;
    talk.exits(0)?;
    let there = noexec.path().join("image");
    std::fs::copy(web.image(), &there).during("copy the image")?;
    std::fs::remove_file(web.image()).during("remove the image")?;
    std::os::unix::fs::symlink(&there, web.image()).during("link to the image")?;
    web.brings_in_later(false, |_| Ok(()))
}

/// The addresses of a load are asked as well.
fn of_a_load(cell: &Cell) -> Outcome {
    let web = Web::new(cell)?;
    let url = web.url("/");
    let mut command = command(["run", "--max-stop", "2s", "--when", "after=4s", "--load", &url, "--image"]);
    command.arg(web.image()).arg("--").args(web.java()).current_dir(&*web.scratch);
    let mut talk = Talk::start("original", command)?;
    talk.process.says("READY log")?;
    talk.say(&format!("open {}", web.port.number))?;
    talk.hotfork_tells("saving took")?;
    let trial = web.trial()?;
    ensure!(trial["Ok"]["pages_before"].as_u64().unwrap_or(0) > 0, "the trial {trial}");
    talk.exits(0)
}

/// `hotfork snapshot` of a service whose instances compile, which stays after its first image.
fn compiling_snapshot(web: &Web) -> Outcome<(Talk, Process)> {
    // What is asked for a few times is not compiled by a trial: else that alone takes compilers 3 ms, and 9 beside other tests, of the 5 that they may.
    let talk = web.listens_with(&["-XX:TieredStopAtLevel=1", "-XX:CompileThresholdScaling=5"], "")?;
    for _ in 0..3 {
        web.asked()?;
    }
    let mut snapshot = command(["snapshot", "--max-stop", "2s", "--trial", &web.url("/compile"), "--image"]);
    snapshot.arg(web.image()).arg(talk.process.pid().to_string());
    Ok((talk, Process::start("snapshot", snapshot)?))
}

fn a_poor_snapshot_is_taken_again(cell: &Cell) -> Outcome {
    let web = Web::new(cell)?;
    let (mut talk, mut snapshot) = compiling_snapshot(&web)?;
    talk.say(&format!("calm when {}", web.image().display()))?;
    snapshot.ends_with(0)?;
    let said = snapshot.err.text();
    let lines: Vec<&str> = said.lines().collect();
    ensure_eq!(lines.len(), 2, "lines of {said:?}");
    ensure!(lines[0].contains("its trial was poor") && lines[0].ends_with(", so it is taken again"), "{said}");
    ensure!(lines[1].contains("saving took") && !lines[1].contains("poor"), "{said}");
    let report = web.report()?;
    ensure_eq!((&report["trial"]["Ok"]["poor"], &report["taken_again"]), (&false.into(), &false.into()), "{report}");
    ensure_eq!(report["trial"], web.trial()?, "the report's trial");
    ensure_eq!(instances(&web.scratch), BTreeSet::new(), "instances of the image");
    no_unfinished(&web.image())?;
    talk.exits(0)
}

fn a_jvm_that_ends_leaves_its_poor_snapshot(cell: &Cell) -> Outcome {
    let web = Web::new(cell)?;
    let (mut talk, mut snapshot) = compiling_snapshot(&web)?;
    let pid = talk.process.pid();
    snapshot.tells_such("it is taken again", |line| line.ends_with(", so it is taken again"))?;
    talk.exits(0)?;
    snapshot.ends_with(0)?;
    let said = snapshot.err.text();
    let last = said.lines().last().unwrap_or_default();
    let sockets = scratch::names(Path::new("/tmp"))?;
    let own = format!(".hotfork-{pid}-");
    ensure!(!sockets.iter().any(|name| name.starts_with(&own)), "{own} is left in /tmp");
    let expected = format!("hotfork: JVM {pid} ended before the agent connected");
    ensure!(last.starts_with(&expected) && last.ends_with("; the image that is there stays"), "{said}");
    let report = web.report()?;
    ensure_eq!((&report["trial"]["Ok"]["poor"], &report["taken_again"]), (&true.into(), &false.into()), "{report}");
    no_unfinished(&web.image())?;
    web.restores(&[], 0).map(drop)
}

/// A service whose instances compile, unless it was told to be calm; its image is settled.
fn compiling(web: &Web, calm: bool) -> Outcome<(Talk, Value)> {
    // With one compiler the code for an answer is compiled within the six seconds, and does not change any more.
    let mut words = web.java();
    words.insert(1, "-XX:TieredStopAtLevel=1".into());
    poor(web, "/compile", words, calm)
}

/// The first image is poor by what this path does; the last one is settled.
fn poor(web: &Web, path: &str, words: Vec<std::ffi::OsString>, calm: bool) -> Outcome<(Talk, Value)> {
    let url = web.url(path);
    let options = ["run", "--max-stop", "2s", "--when", "after=6s", "--load", &url, "--image"];
    let mut command = command(options);
    command.arg(web.image()).arg("--").args(words).current_dir(&*web.scratch);
    let mut talk = Talk::start("original", command)?;
    talk.process.says("READY log")?;
    talk.say(&format!("open {}", web.port.number))?;
    if calm {
        talk.say(&format!("calm when {}", web.image().display()))?;
    }
    let line = talk.hotfork_tells("its trial was poor: first request and compilers took ")?;
    ensure!(line.ends_with(", so it is taken again"), "what follows: {line}");
    wait::until(LIMIT, "no other image follows", || web.report().is_ok_and(|report| report["taken_again"] == false))
        .map_err(|why| talk.process.tell(&why))?;
    no_unfinished(&web.image())?;
    ensure_eq!(instances(&web.scratch), BTreeSet::new(), "instances of the image");
    let report = web.report()?;
    ensure_eq!(report["trial"], web.trial()?, "the report's trial");
    Ok((talk, report))
}

/// The second image is of a JVM whose instances compile nothing.
fn a_poor_one_is_taken_again(cell: &Cell) -> Outcome {
    let web = Web::new(cell)?;
    let (mut talk, report) = compiling(&web, true)?;
    ensure_eq!(report["trial"]["Ok"]["poor"], false, "whether the last trial was poor; {report}");
    let said = talk.process.err.text();
    ensure!(said.lines().last().is_some_and(|line| line.contains("saving took")), "{said}");
    talk.exits(0)
}

/// Three times at most, and then the best is there.
fn a_poor_one_stays(cell: &Cell) -> Outcome {
    let web = Web::new(cell)?;
    let (mut talk, report) = compiling(&web, false)?;
    ensure_eq!(report["trial"]["Ok"]["poor"], true, "whether the last trial was poor; {report}");
    ensure!(report["trial"]["Ok"]["compiling_ns"].as_u64().unwrap_or(0) > 5_000_000, "{report}");
    let said = talk.process.err.text();
    let tried = said.lines().filter(|line| {
        line.contains("its trial was poor") || line.contains("is no better (first request and compilers took ")
    });
    ensure_eq!(tried.count(), 3, "images; {said}");
    // The compilers used malloc's arenas, and nobody needs what is at their ends now.
    let native = report["pages"].as_array().and_then(|pages| pages.iter().find(|pages| pages["kind"] == "native"));
    ensure!(native.is_some_and(|native| native["dead"].as_u64() > Some(256)), "dead native pages; {report}");
    talk.exits(0)?;
    let mut restore = command(["restore"]);
    restore.arg(web.image()).current_dir(&*web.scratch);
    let mut instance = Talk::start("instance", restore)?;
    instance.say("hello")?;
    instance.exits(0)
}

/// Uncommon traps, which HotSpot counts.
fn code_left_out(cell: &Cell) -> Outcome {
    let web = Web::new(cell)?;
    let (mut talk, report) = poor(&web, "/trap", web.java(), false)?;
    let count = report["trial"]["Ok"]["deoptimizations"].as_u64();
    ensure!(count.is_some_and(|count| (9..100).contains(&count)), "methods deoptimized: {count:?}; {report}");
    ensure_eq!(report["trial"]["Ok"]["poor"], true, "whether the last trial was poor; {report}");
    talk.exits(0)
}

/// Nobody expects a JVM that is not warm to be warm in its instances.
fn a_poor_one_at_the_deadline(cell: &Cell) -> Outcome {
    let web = Web::new(cell)?;
    let url = web.url("/compile");
    let options = ["run", "--max-stop", "2s", "--deadline", "4s", "--trial", &url, "--image"];
    let mut command = command(options);
    command.arg(web.image()).arg("--").args(web.java()).current_dir(&*web.scratch);
    let mut talk = Talk::start("original", command)?;
    talk.process.says("READY log")?;
    talk.say(&format!("open {}", web.port.number))?;
    let line = talk.hotfork_tells("its trial was poor: first request and compilers took ")?;
    ensure!(!line.contains("again"), "what follows: {line}");
    let report = web.report()?;
    ensure_eq!(report["taken_again"], false, "whether another image follows; {report}");
    talk.exits(0)
}

/// It is asked where it listens, and there only.
fn one_other_address(cell: &Cell) -> Outcome {
    let web = Web::new(cell)?;
    let mut talk = web.listens(" 127.0.0.2")?;
    web.tried(&talk, &[&web.url("/")])?;
    ensure!(web.trial()?["Ok"].is_object(), "the trial {}", web.trial()?);
    talk.exits(0)
}

fn not_found(cell: &Cell) -> Outcome {
    let web = Web::new(cell)?;
    let mut talk = web.listens("")?;
    let lost = web.url("/lost");
    for _ in 0..3 {
        web.asked()?;
    }
    let finished = web.tried(&talk, &[&web.url("/"), &lost])?;
    web.trial_failed(&finished, &[&format!("{lost}: the answer's status is 404")])?;
    ensure_eq!(instances(&web.scratch), BTreeSet::new(), "instances of the image");
    talk.exits(0)?;
    web.restores(&[], 0)?;
    Ok(())
}

fn another_port(cell: &Cell) -> Outcome {
    let web = Web::new(cell)?;
    let mut talk = web.listens("")?;
    let other = ports::claim()?;
    let url = format!("http://localhost:{}/", other.number);
    let finished = web.tried(&talk, &[&url])?;
    web.trial_failed(&finished, &[&url, &format!("does not listen on port {}", other.number)])?;
    talk.exits(0)
}

/// Whose instance waits for an answer that never comes.
fn it_ends_with_a_killed_helper(cell: &Cell) -> Outcome {
    let web = Web::new(cell)?;
    let mut talk = web.listens("")?;
    let mut helper = Process::start("snapshot", web.snapshot(&talk, &[&web.url("/hang")]))?;
    let instance = wait::until_some(LIMIT, "an instance hangs in its answer", || {
        instances(&web.scratch).into_iter().find(|pid| {
            *pid != helper.pid()
                && proc::threads(*pid).is_ok_and(|threads| threads.values().any(|name| name == "hangs"))
        })
    })?;
    helper.signal(Signal::SIGKILL)?;
    helper.ends_with(137)?;
    wait::until(LIMIT, "the instance has ended", || proc::command_line(instance).is_err())?;
    remains::remove_those_of_a_killed(instance);
    remains::remove_those_of_a_killed(helper.pid());
    ensure!(!web.image().exists(), "there is an image that nobody finished");
    talk.say("hello")?;
    talk.exits(0)
}

/// Root may take an image of anybody's JVM, but does not run it.
fn not_for_another_user(cell: &Cell) -> Outcome {
    if !nix::unistd::geteuid().is_root() {
        skip::skip("a trial of another user's JVM", "root");
        return Ok(());
    }
    if !crate::unprivileged::possible(cell) {
        return Ok(());
    }
    let web = Web::new(cell)?;
    std::os::unix::fs::chown(&*web.scratch, Some(65_534), Some(65_534)).during("give the directory away")?;
    let mut java = Command::new("setpriv");
    java.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).args(web.java()).current_dir(&*web.scratch);
    let mut talk = Talk::start("another user's", java)?;
    talk.process.says("READY log")?;
    talk.say(&format!("open {}", web.port.number))?;
    let finished = web.tried(&talk, &[&web.url("/")])?;
    web.trial_failed(&finished, &["belongs to uid 65534", "runs as uid 0", "take the image as uid 65534"])?;
    ensure!(!web.log()?.contains('/'), "an instance was asked");
    talk.exits(0)
}

/// Known before anything is touched: there is no such process.
fn wrong_addresses(cell: &Cell) -> Outcome {
    let web = Web::new(cell)?;
    let snapshot = |url: &str, words: &[&str]| run(["snapshot", "1", "--trial", url])?.fails(2, words).map(drop);
    snapshot("localhost:8080", &["--trial: localhost:8080: it does not begin with http://"])?;
    snapshot("http://localhost:x/", &["http://localhost:x/", "port"])?;
    snapshot(&format!("http://localhost/{}", "a".repeat(5000)), &["--trial", "too long together"])?;
    let mut run = command(["run", "--trial", "https://localhost/", "--image"]);
    run.arg(web.image()).arg("--").args(web.java());
    finish("run", run)?.fails(2, &["--trial: https://localhost/", "write http://HOST:PORT/PATH"]).map(drop)
}
