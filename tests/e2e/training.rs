//! `run --load`: a training load from the moment the application listens until the image is taken.

use crate::cat::Talk;
use crate::tools::tool;
use crate::web::Web;
use hotfork_tests::hotfork::{command, finish, inspected};
use hotfork_tests::jdk::Collector;
use hotfork_tests::matrix::{Cell, Extent, World, cells, once};
use hotfork_tests::ports;
use hotfork_tests::process::LIMIT;
use hotfork_tests::{During, Outcome, build, ensure, ensure_eq, proc, skip, wait};
use libtest_mimic::Trial;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

pub fn trials(world: &Arc<World>) -> Vec<Trial> {
    [
        cells(world, "training::urls", 17, Extent::Rotated(2), urls),
        cells(world, "training::a_command", 17, Extent::Rotated(3), a_command),
        cells(
            world,
            "training::a_collection_in_its_pause",
            17,
            Extent::Of(&[Collector::G1]),
            a_collection_in_its_pause,
        ),
        once(world, "training::the_agent_alone", the_agent_alone),
        once(world, "training::a_failed_capture_does_not_end_it", a_failed_capture_does_not_end_it),
        once(world, "training::a_better_image_is_not_trained_for", a_better_image_is_not_trained_for),
        once(world, "training::a_command_that_fails", a_command_that_fails),
        once(world, "training::an_address_without_answers", an_address_without_answers),
        once(world, "training::nobody_listens", nobody_listens),
        once(world, "training::it_ends_with_a_killed_jvm", it_ends_with_a_killed_jvm),
        once(world, "training::it_ends_with_a_killed_driver", it_ends_with_a_killed_driver),
        once(world, "training::as_pid_1", as_pid_1),
        once(world, "training::wrong_loads", wrong_loads),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// In the line that says that the image is there.
const SAVED: &str = "saving took";

impl Web {
    fn run(&self, options: &[&str]) -> Command {
        let mut run = command(["run", "--max-stop", "2s", "--image"]);
        run.arg(self.image()).args(options).arg("--").arg(self.cell.jdk.java());
        run.args([self.cell.collector.flag(), "-Xmx64m", "-cp"]);
        run.arg(build::programs_jar()).arg("Web").current_dir(&*self.scratch);
        run
    }

    fn start(&self, options: &[&str]) -> Outcome<Talk> {
        let talk = Talk::start("original", self.run(options))?;
        talk.process.says_such("that it is there", |line| line.starts_with("READY"))?;
        Ok(talk)
    }

    fn listen(&self, talk: &mut Talk) -> Outcome {
        talk.say(&format!("open {}", self.port.number))
    }

    /// Waits until the load has asked so many times more.
    fn is_asked(&self, times: u64) -> Outcome {
        let goal = self.asked()? + times;
        wait::until(LIMIT, &format!("the load asks {times} times"), || self.asked().is_ok_and(|asked| asked > goal))
    }

    /// Nobody but this test asks any more, and nobody is connected.
    fn is_left_alone(&self, talk: &Talk) -> Outcome {
        wait::until(LIMIT, "the load's process has ended", || driver_of(talk.process.pid()).is_none())?;
        let (before, after) = (self.asked()?, self.asked()?);
        ensure_eq!(after, before + 1, "requests after the load's end");
        let port = self.port.number;
        wait::until(LIMIT, "the load's connections are closed", || connections(port) == Ok(0))
    }
}

/// The process that drives the load of a JVM.
fn driver_of(jvm: u32) -> Option<u32> {
    let wanted = ["drive-load".to_owned(), "--pid".to_owned(), jvm.to_string()];
    let numbers = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut pids = numbers.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.find(|&pid| proc::command_line(pid).is_ok_and(|line| line.get(1..4) == Some(&wanted)))
}

/// The numbers of a process's connected SOCK_SEQPACKET sockets.
fn packet_sockets(pid: u32) -> Outcome<Vec<String>> {
    let text = std::fs::read_to_string("/proc/net/unix").during("read /proc/net/unix")?;
    let connected = text.lines().filter_map(|line| match line.split_whitespace().collect::<Vec<_>>()[..] {
        [_, _, _, _, "0005", "03", inode, ..] => Some(PathBuf::from(format!("socket:[{inode}]"))),
        _ => None,
    });
    let connected: Vec<PathBuf> = connected.collect();
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).during(format_args!("read /proc/{pid}/fd"))?;
    let ours =
        descriptors.flatten().filter(|entry| entry.path().read_link().is_ok_and(|link| connected.contains(&link)));
    Ok(ours.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
}

/// Established connections to a port of this machine.
fn connections(port: u16) -> Outcome<usize> {
    let established = |line: &&str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields.get(2).is_some_and(|peer| peer.ends_with(&format!(":{port:04X}"))) && fields.get(3) == Some(&"01")
    };
    let text = std::fs::read_to_string("/proc/net/tcp").during("read /proc/net/tcp")?
        + &std::fs::read_to_string("/proc/net/tcp6").unwrap_or_default();
    Ok(text.lines().filter(established).count())
}

fn urls(cell: &Cell) -> Outcome {
    let web = Web::new(cell)?;
    let (one, two) = (web.url("/"), web.url("/?two"));
    let options = ["--when", "after=4s", "--load", &one, "--load", &two];
    let mut talk = web.start(&options)?;
    let driver = wait::until_some(LIMIT, "the load is driven", || driver_of(talk.process.pid()))?;
    // The application's own waitpid does not meet it.
    ensure!(proc::status(driver, "PPid")? != talk.process.pid().to_string(), "the driver is a child of the JVM");
    let sockets = packet_sockets(talk.process.pid())?;
    ensure_eq!(sockets.len(), 1, "sockets between agent and driver among {sockets:?}");
    web.listen(&mut talk)?;
    web.is_asked(20)?;
    talk.hotfork_tells(SAVED)?;
    web.is_left_alone(&talk)?;
    let image = inspected(&web.image())?;
    ensure!(!image.to_string().contains("will be found closed\""), "{image}");
    // These give replaced code back at the second of two whole collections.
    let twice = cell.jdk.major >= 20 && matches!(cell.collector, Collector::Serial | Collector::Parallel);
    let (rest, word) = (image["taken"]["rest"].to_string(), if twice { "collected twice in" } else { "collected in" });
    ensure!(rest.contains(word), "{rest} has not {word:?}");
    talk.exits(0)?;

    let mut instance = Talk::start("instance", web.run(&options))?;
    instance.is_restored("hello")?;
    // Its number may be the application's by now.
    let sockets = packet_sockets(instance.process.pid())?;
    ensure!(sockets.is_empty(), "the instance holds the socket to the driver: {sockets:?}");
    ensure_eq!(connections(web.port.number)?, 0, "connections to the instance");
    let first = web.asked()?;
    ensure!(first > 20, "the instance does not remember its training");
    for number in 1..=5 {
        ensure_eq!(web.asked()?, first + number, "requests of an instance that nobody but this test asks");
    }
    ensure!(driver_of(instance.process.pid()).is_none(), "a restored instance is trained");
    let said = instance.process.err.text();
    ensure!(!said.contains("training"), "an instance speaks of a load: {said}");
    instance.exits(0)
}

/// What a collection arms while nothing is served, each instance would disarm in its first request, and write to each method that it calls.
fn a_collection_in_its_pause(cell: &Cell) -> Outcome {
    let web = Web::new(cell)?;
    let mut talk = web.start(&["--when", "after=4s", "--load", &web.url("/")])?;
    web.listen(&mut talk)?;
    web.is_asked(20)?;
    // It is silent for a second now and then, and for more than five before a capture.
    wait::until(LIMIT, "the load pauses", || {
        let before = web.asked();
        std::thread::sleep(Duration::from_secs(2));
        before.is_ok_and(|before| web.asked() == Ok(before + 1))
    })?;
    tool(&cell.jdk, "jcmd", &[&talk.process.pid().to_string(), "GC.run"])?;
    talk.hotfork_tells(SAVED)?;
    let rest = inspected(&web.image())?["taken"]["rest"].to_string();
    // Before JDK 20 G1 armed nothing.
    let expected = cell.jdk.major >= 20;
    ensure_eq!(rest.contains("code armed again, served on for"), expected, "that it served on, in {rest}");
    ensure!(!rest.contains("code armed again,") || rest.matches("young collection in").count() == 2, "{rest}");
    talk.exits(0)
}

/// It begins with the port that the application opens, and takes what it has started with it.
fn a_command(cell: &Cell) -> Outcome {
    let web = Web::new(cell)?;
    let pids = web.scratch.join("pids");
    let load = format!(
        "echo $HOTFORK_PORT > port; sleep 1000 & echo $$ $! > unfinished; mv unfinished {}; wait",
        pids.display()
    );
    let mut talk = web.start(&["--when", "after=4s", "--load", &load])?;
    ensure!(!pids.exists(), "the load does not wait for the application");
    web.listen(&mut talk)?;
    wait::until(LIMIT, "the command runs", || pids.exists())?;
    let port = std::fs::read_to_string(web.scratch.join("port")).during("read the port")?;
    ensure_eq!(port.trim(), web.port.number.to_string(), "HOTFORK_PORT");
    let text = std::fs::read_to_string(&pids).during("read the pids")?;
    let pids: Vec<u32> = text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect();
    ensure_eq!(pids.iter().filter(|pid| proc::command_line(**pid).is_ok()).count(), 2, "processes of the load {text}");
    talk.hotfork_tells(SAVED)?;
    web.is_left_alone(&talk)?;
    for pid in pids {
        ensure!(proc::command_line(pid).is_err(), "process {pid} of the load is left");
    }
    talk.exits(0)
}

/// The same by the agent's options, which go through `hotfork run`, since there is a file; a load needs no promised moment.
fn the_agent_alone(cell: &Cell) -> Outcome {
    let web = Web::new(cell)?;
    std::fs::write(web.image(), "no image").during("write a file")?;
    let mut java = Command::new(cell.jdk.java());
    let options = format!("image={},restore=auto,when=manual,load={}", web.image().display(), web.url("/?a\\,b"));
    java.arg(crate::cat::agent_path(&options)).args([cell.collector.flag(), "-Xmx64m", "-cp"]);
    java.arg(build::programs_jar()).arg("Web").current_dir(&*web.scratch);
    let mut talk = Talk::start("java with the agent", java)?;
    web.listen(&mut talk)?;
    let driver = wait::until_some(LIMIT, "the load is driven", || driver_of(talk.process.pid()))?;
    ensure_eq!(proc::command_line(driver)?.last(), Some(&web.url("/?a,b")), "the load");
    web.is_asked(20)?;
    hotfork_tests::hotfork::take(talk.process.pid(), &web.image())?;
    web.is_left_alone(&talk)?;
    talk.exits(0)
}

/// A capture that somebody asks for and that fails: the load goes on.
fn a_failed_capture_does_not_end_it(cell: &Cell) -> Outcome {
    let web = Web::new(cell)?;
    let mut talk = web.start(&["--load", &web.url("/")])?;
    web.listen(&mut talk)?;
    web.is_asked(20)?;
    let nowhere = web.scratch.join("missing/image");
    hotfork_tests::hotfork::snapshot(talk.process.pid(), &nowhere)?.fails(116, &["missing"])?;
    web.is_asked(20)?;
    talk.exits(0)
}

/// With `--resnapshot` as without it the load ends with the first image.
fn a_better_image_is_not_trained_for(cell: &Cell) -> Outcome {
    let web = Web::new(cell)?;
    let mut talk = web.start(&["--resnapshot", "--no-quiesce", "--deadline", "3s", "--load", &web.url("/")])?;
    web.listen(&mut talk)?;
    web.is_asked(20)?;
    talk.hotfork_tells(SAVED)?;
    talk.hotfork_tells("a better one follows")?;
    web.is_left_alone(&talk)?;
    talk.exits(0)?;
    let said = talk.process.err.text();
    ensure!(!said.contains("no image was made"), "stderr says {said}");
    Ok(())
}

/// The one line that says what is wrong with a load; the image is taken all the same.
fn tells_once(talk: &mut Talk, words: &[&str]) -> Outcome {
    talk.hotfork_tells(SAVED)?;
    // Of a load that was never begun this is told after the image.
    talk.hotfork_tells("training load")?;
    let lines = talk.process.err.text();
    let about: Vec<&str> = lines.lines().filter(|line| line.contains("training load")).collect();
    ensure_eq!(about.len(), 1, "lines about the load in\n{lines}");
    for word in words {
        ensure!(about[0].starts_with("hotfork: ") && about[0].contains(word), "no {word:?} in {}", about[0]);
    }
    wait::until(LIMIT, "the load's process has ended", || driver_of(talk.process.pid()).is_none())?;
    talk.exits(0)
}

fn a_command_that_fails(cell: &Cell) -> Outcome {
    let web = Web::new(cell)?;
    let mut talk = web.start(&["--quiet", "--when", "after=2s", "--load", "echo lost; exit 3"])?;
    web.listen(&mut talk)?;
    talk.hotfork_tells("ended with status 3: echo lost; exit 3")?;
    ensure!(!talk.process.out.text().contains("lost"), "what the load prints is shown");
    // Quiet: the image is there without a word.
    wait::until(LIMIT, "there is an image", || web.image().exists())?;
    talk.exits(0)
}

fn an_address_without_answers(cell: &Cell) -> Outcome {
    let web = Web::new(cell)?;
    let (good, bad) = (web.url("/"), web.url("/lost"));
    let mut talk = web.start(&["--when", "after=9s", "--load", &good, "--load", &bad])?;
    web.listen(&mut talk)?;
    tells_once(&mut talk, &["no good answer for 5 s", &format!("({bad}: status 404)"), "correct --load"])?;
    // The load's addresses are those of the trial.
    talk.hotfork_tells(&format!("; its trial failed: {bad}: the answer's status is 404")).map(drop)
}

fn nobody_listens(cell: &Cell) -> Outcome {
    let web = Web::new(cell)?;
    let mut talk = web.start(&["--when", "after=500ms", "--load", &web.url("/")])?;
    tells_once(&mut talk, &["was begun", &format!("does not listen on port {}", web.port.number), "--load-port"])?;
    // Another port than the one that is opened.
    let other = ports::claim()?;
    let web = Web::new(cell)?;
    let port = other.number.to_string();
    let mut talk = web.start(&["--when", "after=1s", "--load", "sleep 1000", "--load-port", &port])?;
    web.listen(&mut talk)?;
    tells_once(&mut talk, &["was begun", &format!("does not listen on port {port}")])
}

fn it_ends_with_a_killed_jvm(cell: &Cell) -> Outcome {
    let web = Web::new(cell)?;
    let pids = web.scratch.join("pids");
    // It does not hear SIGTERM.
    let load = format!("trap '' TERM; echo $$ > unfinished; mv unfinished {}; sleep 1000", pids.display());
    let mut talk = web.start(&["--load", &load])?;
    web.listen(&mut talk)?;
    wait::until(LIMIT, "the command runs", || pids.exists())?;
    let (jvm, text) = (talk.process.pid(), std::fs::read_to_string(&pids).during("read the pid")?);
    let shell: u32 = text.trim().parse().during("the pid")?;
    talk.process.signal(Signal::SIGKILL)?;
    talk.process.ends_with(137)?;
    hotfork_tests::remains::remove_those_of_a_killed(jvm);
    wait::until(LIMIT, "driver and command have ended", || {
        driver_of(jvm).is_none() && proc::command_line(shell).is_err()
    })
}

/// A driver that is killed, as when memory runs out: its command ends, and the JVM goes on.
fn it_ends_with_a_killed_driver(cell: &Cell) -> Outcome {
    let web = Web::new(cell)?;
    let pids = web.scratch.join("pids");
    let load = format!("trap '' TERM; echo $$ > unfinished; mv unfinished {}; exec sleep 1000", pids.display());
    let mut talk = web.start(&["--load", &load])?;
    web.listen(&mut talk)?;
    wait::until(LIMIT, "the command runs", || pids.exists())?;
    let text = std::fs::read_to_string(&pids).during("read the pid")?;
    let shell: u32 = text.trim().parse().during("the pid")?;
    let driver = wait::until_some(LIMIT, "the load is driven", || driver_of(talk.process.pid()))?;
    kill(Pid::from_raw(driver.cast_signed()), Signal::SIGKILL).during("kill the driver")?;
    wait::until(LIMIT, "the command has ended", || proc::command_line(shell).is_err())?;
    talk.hotfork_tells("the process that drives the training load has ended; the JVM goes on")?;
    web.asked()?;
    talk.exits(0)
}

/// A JVM that is pid 1 adopts the helpers: that is no reason to refuse, and none of them is left unreaped.
fn as_pid_1(cell: &Cell) -> Outcome {
    let web = Web::new(cell)?;
    let may = Command::new("unshare").args(["--pid", "--fork", "--mount-proc", "true"]).status();
    if !may.is_ok_and(|status| status.success()) {
        skip::skip("a capture of pid 1", "run as root with unshare(1) from util-linux");
        return Ok(());
    }
    let load = format!("exec sleep 1000 # {}", web.port.number);
    let run = web.run(&["--when", "after=2s", "--load", &load]);
    let mut unshare = Command::new("unshare");
    unshare.args(["--pid", "--fork", "--kill-child", "--mount-proc"]).arg(run.get_program()).args(run.get_args());
    unshare.current_dir(&*web.scratch);
    let mut talk = Talk::start("original as pid 1", unshare)?;
    web.listen(&mut talk)?;
    talk.hotfork_tells(SAVED)?;
    let jvm = wait::until_some(LIMIT, "the JVM is found", || children(talk.process.pid()).first().copied())?;
    wait::until(LIMIT, "the JVM has no children, dead or alive", || children(jvm).is_empty())?;
    let said = talk.process.err.text();
    ensure!(!said.contains("training load"), "stderr says {said}");
    talk.exits(0)
}

fn children(pid: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()).collect()
}

fn wrong_loads(cell: &Cell) -> Outcome {
    let web = Web::new(cell)?;
    let says = |options: &[&str], words: &[&str]| finish("run", web.run(options))?.fails(2, words).map(drop);
    says(&["--load", "https://localhost/"], &["--load", "no TLS", "command"])?;
    says(&["--load", "true", "--load", "http://localhost/"], &["do not go together"])?;
    says(&["--load", "true", "--load", "false"], &["one command only"])?;
    says(&["--load", "http://localhost:x/"], &["http://localhost:x/", "port"])
}
