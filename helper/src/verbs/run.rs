//! `hotfork run`: restores the image of a java command, or becomes the command with the agent.

use crate::agent::{self, OptionList, is_own_agent, milliseconds, without_own_agent};
use crate::cli::{RestoreChoice, RunArgs, When};
use crate::exit::{ExitCode, Failure};
use crate::identity::command::Command as JavaCommand;
use crate::restore::refusal::{Reason, Refusal};
use crate::restore::start::Start;
use crate::restore::{Options, Prepared};
use crate::say;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Tells an agent with `restore=` that the decision has been made for this pid.
const DECIDED: &str = "HOTFORK_RUN_PID";

/// Returns only if neither the image nor the command could be become.
pub fn run(args: RunArgs, start: Start) -> Result<i32, Failure> {
    if args.deadline.is_some() && !args.when.takes_a_deadline() {
        let message =
            "--deadline bounds the wait of --when warm and --when ready: use one of them, or leave --deadline out";
        return Err(Failure::new(ExitCode::Usage, message));
    }
    if args.resnapshot && !args.when.waits_for_warmth() {
        let message = "--resnapshot takes a better image after that of --when warm or warm+ready: use one of them, or leave --resnapshot out";
        return Err(Failure::new(ExitCode::Usage, message));
    }
    if args.resnapshot && args.exit {
        let message = "--resnapshot and --exit do not go together: --exit ends the JVM with its first image; leave one of them out";
        return Err(Failure::new(ExitCode::Usage, message));
    }
    crate::load::check(&args.load).map_err(|why| Failure::new(ExitCode::Usage, format!("--load: {why}")))?;
    crate::trial::check(&args.capture.trial, &args.load).map_err(|why| Failure::new(ExitCode::Usage, why))?;
    let image = std::path::absolute(&args.image)
        .map_err(|error| Failure::new(ExitCode::Usage, format!("--image {}: {error}", args.image.display())))?;
    let java = launcher(&args.command, &image, args.when)?;
    let replace = match args.restore {
        RestoreChoice::Never => true,
        choice => match restore(&args, &image, &java, start) {
            // What comes back from the last step is final: descriptors may have been rebuilt already.
            Err(Stopped::Final(failure)) => return Err(failure),
            Err(Stopped::Refused(refusal)) => decide(choice, refusal, args.capture.quiet)?,
        },
    };
    start.unblock();
    become_command(&args, &image, &java, replace)
}

enum Stopped {
    Refused(Refusal),
    Final(Failure),
}

fn restore(args: &RunArgs, image: &Path, java: &Path, start: Start) -> Result<std::convert::Infallible, Stopped> {
    let (trust_owner, quiet, nap) = (args.trust_owner, args.capture.quiet, args.nap);
    let options = Options { trust_owner, quiet, nap, ..Options::default() };
    let prepared = Prepared::new(image, options, start).map_err(Stopped::Refused)?;
    let usage = |error: &dyn std::fmt::Display| Stopped::Final(Failure::new(ExitCode::Usage, error.to_string()));
    let cwd = std::env::current_dir()
        .map_err(|error| usage(&format!("cannot tell the current directory: {error}; cd to one that exists")))?;
    let words = args.command.get(1..).unwrap_or_default();
    let command = JavaCommand::new(java.to_path_buf(), words, |name| std::env::var_os(name), cwd, "/".into())
        .map_err(|error| usage(&error))?;
    match command.difference(&prepared.image().manifest.identity).map_err(|error| usage(&error))? {
        Some(difference) => {
            let message = format!("image {}: is not of this command: {difference}; take it again", image.display());
            Err(Stopped::Refused(Refusal::outdated(message)))
        }
        None => Err(Stopped::Final(prepared.become_instance())),
    }
}

/// Whether the command that is started in place of the image may replace it (CONTRACT: "Whether to restore").
fn decide(choice: RestoreChoice, refusal: Refusal, quiet: bool) -> Result<bool, Failure> {
    if choice == RestoreChoice::Always {
        return Err(refusal.failure);
    }
    match refusal.reason {
        Reason::Missing => Ok(true),
        Reason::Outdated => {
            say::note(quiet, &format!("{}; starting the command, which will replace it", refusal.failure));
            Ok(true)
        }
        Reason::HostLacks => {
            say::note(quiet, &format!("{}; starting the command without it", refusal.failure));
            Ok(false)
        }
        Reason::Untrusted | Reason::Error => Err(refusal.failure),
    }
}

/// Canonical path of the java launcher that the command's first word names.
fn launcher(command: &[OsString], image: &Path, when: When) -> Result<PathBuf, Failure> {
    let word = command.first().map(OsString::as_os_str).unwrap_or_default();
    let shown = word.to_string_lossy();
    let found = find(word).ok_or_else(|| {
        Failure::new(ExitCode::Usage, format!("cannot find {shown}: no such executable file, nor one on PATH"))
    })?;
    if is_java_launcher(&found) {
        return Ok(found);
    }
    let mut options = OptionList::default();
    options.add("image", image);
    options.add("when", when.option());
    options.add("restore", "auto");
    let library = agent::library().unwrap_or_else(|_| PathBuf::from("libhotfork.so"));
    let (library, options) = (library.display().to_string(), options.into_os_string());
    Err(Failure::new(
        ExitCode::Usage,
        format!(
            "{shown} is no java launcher; start it with JAVA_TOOL_OPTIONS='-agentpath:{library}={}' in its environment instead",
            options.to_string_lossy()
        ),
    ))
}

fn find(word: &OsStr) -> Option<PathBuf> {
    let is_executable = |path: &Path| {
        std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    };
    let candidates: Vec<PathBuf> = if word.as_bytes().contains(&b'/') {
        vec![PathBuf::from(word)]
    } else {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).map(|directory| directory.join(word)).collect()
    };
    candidates.into_iter().find(|path| is_executable(path)).and_then(|path| path.canonicalize().ok())
}

/// A launcher lies in `bin` of a JDK, whose `lib` has libjvm or the launcher's own library.
fn is_java_launcher(path: &Path) -> bool {
    let home = path.parent().and_then(Path::parent);
    let has = |library: &str| home.is_some_and(|home| home.join("lib").join(library).is_file());
    path.file_name().is_some_and(|name| name == "java") && (has("server/libjvm.so") || has("libjli.so"))
}

/// Executes the command with the agent put first. Comes back only when that fails.
fn become_command(args: &RunArgs, image: &Path, java: &Path, replace: bool) -> Result<i32, Failure> {
    let library = agent::library()?;
    let mut options = OptionList::default();
    options.add("image", image);
    // Where the image is not to be replaced, only somebody's `hotfork snapshot` does it.
    options.add("when", if replace { args.when } else { When::Manual }.option());
    if let Some(deadline) = args.deadline.filter(|_| replace) {
        options.add("deadline", milliseconds(deadline));
    }
    // It trains for the image that is to be taken.
    for load in args.load.iter().filter(|_| replace) {
        options.add("load", load);
    }
    if let Some(port) = args.load_port.filter(|_| replace) {
        options.add("load-port", port.to_string());
    }
    if args.resnapshot && replace {
        options.add("resnapshot", "true");
    }
    options.add("restore", "never");
    options.add("pid", std::process::id().to_string());
    options.add_capture(&args.capture, args.exit);
    let mut agent = OsString::from("-agentpath:");
    agent.push(&library);
    agent.push("=");
    agent.push(options.into_os_string());

    let mut command = Command::new(java);
    command.arg0(&args.command[0]).arg(agent);
    command.args(args.command[1..].iter().filter(|word| !is_own_agent(word.as_bytes())));
    command.env(DECIDED, std::process::id().to_string());
    for name in ["JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS"] {
        let Some(value) = std::env::var(name).ok().filter(|value| !value.is_empty()) else { continue };
        match without_own_agent(&value) {
            kept if kept.is_empty() => command.env_remove(name),
            kept => command.env(name, kept),
        };
    }
    let error = command.exec();
    Err(Failure::new(ExitCode::Usage, format!("cannot execute {}: {error}", java.display())))
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
