//! Limits of the host that a JVM can start under and its image cannot.

use crate::cat::{Cat, Talk};
use hotfork_tests::hotfork::{finish, inspected};
use hotfork_tests::matrix::{Cell, World, once};
use hotfork_tests::{During, Outcome, ensure, ensure_eq, skip, wait, write_execute};
use libtest_mimic::Trial;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

pub fn trials(world: &Arc<World>) -> Vec<Trial> {
    [
        once(world, "limits::the_command_starts_and_the_image_stays", the_command_starts_and_the_image_stays),
        once(world, "limits::open_files", open_files),
        once(world, "limits::write_and_execute", write_and_execute),
        once(world, "limits::processes_of_a_cgroup", processes_of_a_cgroup),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn limited(limit: &str, command: &Command) -> Command {
    let mut limited = Command::new("prlimit");
    limited.args([limit, "--"]).arg(command.get_program()).args(command.get_args());
    if let Some(directory) = command.get_current_dir() {
        limited.current_dir(directory);
    }
    limited
}

/// Where only this host lacks something, `run` starts the command and leaves the image to hosts that do not.
fn the_command_starts_and_the_image_stays(cell: &Cell) -> Outcome {
    let cat = Cat::new(cell)?;
    let mut first = Talk::start("first run", cat.run(&["--when", "after=300ms"]))?;
    first.is_new()?;
    first.hotfork_tells("saving took")?;
    first.exits(0)?;
    let before = fs::metadata(cat.image()).during("look at the image")?.ino();
    let mapped = inspected(&cat.image())?["total_mapped"].as_u64().ok_or("inspect does not say total_mapped")?;
    // A restore wants 64 MB besides what the image maps.
    let limit = format!("--as={}", mapped + (32 << 20));
    finish("restore", limited(&limit, &cat.restore()))?.fails(113, &["address space", "ulimit -v"])?;
    let mut again = Talk::start("run under a limit", limited(&limit, &cat.run(&["--when", "after=1ms"])))?;
    again.hotfork_tells("starting the command without it")?;
    again.is_new()?;
    again.exits(0)?;
    let said = again.process.err.text();
    ensure!(!said.contains("saving took") && !said.contains("no image"), "it was to capture:\n{said}");
    ensure_eq!(fs::metadata(cat.image()).during("look at the image")?.ino(), before, "inode of the image");
    let mut restored = Talk::start("run without a limit", cat.run(&["--when", "after=300ms"]))?;
    restored.is_restored("hello")?;
    restored.exits(0)
}

fn open_files(cell: &Cell) -> Outcome {
    let cat = Cat::new(cell)?;
    cat.taken()?.exits(0)?;
    finish("restore", limited("--nofile=12", &cat.restore()))?.fails(113, &["open files", "ulimit -n"])?;
    // The soft limit is raised as HotSpot raises it.
    let mut restored = Talk::start("instance", limited("--nofile=12:4096", &cat.restore()))?;
    restored.is_restored("hello")?;
    restored.exits(0)
}

/// Said before the restorer's own code would fail for it.
fn write_and_execute(cell: &Cell) -> Outcome {
    if !write_execute::can_be_denied() {
        skip::skip("memory that may not become executable", "the kernel is older than 6.3; use a newer one");
        return Ok(());
    }
    let cat = Cat::new(cell)?;
    cat.taken()?.exits(0)?;
    let mut restore = cat.restore();
    write_execute::deny(&mut restore);
    finish("restore", restore)?.fails(113, &["PR_SET_MDWE", "MemoryDenyWriteExecute="]).map(drop)
}

/// A control group that goes with its guard.
struct Group(PathBuf);

impl Group {
    /// None where this process may not make one: told as a skip.
    fn new(pids_max: &str) -> Outcome<Option<Self>> {
        let name = format!("hotfork-test-{}", std::process::id());
        // Version 1 has a hierarchy for each controller, version 2 one for all.
        let version_1 = Path::new("/sys/fs/cgroup/pids");
        let parent = if version_1.is_dir() { version_1 } else { Path::new("/sys/fs/cgroup") };
        let group = Self(parent.join(name));
        let made = fs::create_dir(&group.0).and_then(|()| fs::write(group.0.join("pids.max"), pids_max));
        if let Err(error) = made {
            let remedy = format!("{}: {error}; run ./x test as root with control groups", group.0.display());
            skip::skip("limit of processes in a cgroup", &remedy);
            return Ok(None);
        }
        Ok(Some(group))
    }

    /// `command`, which joins the group first.
    fn with(&self, command: &Command) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", r#"echo $$ >"$0" && exec "$@""#]).arg(self.0.join("cgroup.procs"));
        shell.arg(command.get_program()).args(command.get_args());
        shell
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Its last process may not be gone yet.
        let _ = wait::until(Duration::from_secs(5), "the group is empty", || {
            fs::remove_dir(&self.0).is_ok() || !self.0.exists()
        });
    }
}

fn processes_of_a_cgroup(cell: &Cell) -> Outcome {
    let cat = Cat::new(cell)?;
    let Some(group) = Group::new("6")? else { return Ok(()) };
    cat.taken()?.exits(0)?;
    let refused = finish("restore", group.with(&cat.restore()))?;
    refused.fails(113, &["more threads", "pids.max", &group.0.to_string_lossy()])?;
    fs::write(group.0.join("pids.max"), "500").during("raise the limit")?;
    let mut restored = Talk::start("instance in a cgroup", group.with(&cat.restore()))?;
    restored.is_restored("hello")?;
    restored.exits(0)
}
