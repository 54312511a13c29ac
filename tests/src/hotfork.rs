//! The `hotfork` executable, and what it has to look like to its user.

use crate::process::Process;
use crate::{Outcome, build, ensure, ensure_eq};
use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

/// The command, with arguments to follow.
pub fn command(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
    let mut command = Command::new(build::helper());
    command.args(arguments);
    command
}

/// What a verb that ends had to say.
pub struct Finished {
    pub code: i32,
    pub out: String,
    pub err: String,
}

pub fn run(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Outcome<Finished> {
    finish("hotfork", command(arguments))
}

/// Runs a command to its end; a death by signal counts as 128 and more.
pub fn finish(name: &str, command: Command) -> Outcome<Finished> {
    use std::os::unix::process::ExitStatusExt;
    let shown = format!("{name} {:?}", command.get_args().collect::<Vec<_>>());
    let mut process = Process::start(shown, command)?;
    let status = process.ends()?;
    let code = status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(-1);
    Ok(Finished { code, out: process.out.text(), err: process.err.text() })
}

impl Finished {
    /// It succeeded, and what it said is marked as Hotfork's.
    pub fn succeeds(self) -> Outcome<Self> {
        ensure_eq!(self.code, 0, "exit status; stderr:\n{}", self.err);
        self.is_marked()?;
        Ok(self)
    }

    /// It failed with this code and in one line, which holds each of these words.
    pub fn fails(self, code: i32, words: &[&str]) -> Outcome<Self> {
        ensure_eq!(self.code, code, "exit status; stdout:\n{}stderr:\n{}", self.out, self.err);
        self.is_marked()?;
        ensure_eq!(self.err.lines().count(), 1, "lines on stderr, which are:\n{}", self.err);
        for word in words {
            let found = self.err.to_lowercase().contains(&word.to_lowercase());
            ensure!(found, "the line does not say {word:?}: {}", self.err);
        }
        Ok(self)
    }

    fn is_marked(&self) -> Outcome {
        for line in self.err.lines() {
            ensure!(line.starts_with("hotfork: "), "a line on stderr is not marked as Hotfork's: {line:?}");
        }
        Ok(())
    }
}

/// `hotfork snapshot` of whatever moment this is, longer stops allowed: several tests share the processors.
pub fn snapshot(pid: u32, image: &Path) -> Outcome<Finished> {
    run(snapshot_arguments(pid, image))
}

/// As users type it: compilers are awaited.
pub fn snapshot_at_rest(pid: u32, image: &Path) -> Outcome<Finished> {
    run(snapshot_arguments(pid, image).into_iter().filter(|argument| argument != "--no-quiesce"))
}

/// What `inspect --json` says.
pub fn inspected(image: &Path) -> Outcome<serde_json::Value> {
    let text = run(["inspect".as_ref(), image.as_os_str(), "--json".as_ref()])?.succeeds()?.out;
    Ok(serde_json::from_str(&text).map_err(|error| format!("inspect --json says {text:?}: {error}"))?)
}

/// Bytes of the image's memory of this kind ("java heap", "code", "stacks"): in the image, and left out as dead.
pub fn in_image_and_dead(image: &Path, kind: &str) -> Outcome<[u64; 2]> {
    Ok([bytes_of(image, kind, "in_image")?, bytes_of(image, kind, "dead")?])
}

/// The same of one of the words that `inspect` has: "in_image", "zero", "repeated", "dead".
pub fn bytes_of(image: &Path, kind: &str, what: &str) -> Outcome<u64> {
    let inspected = inspected(image)?;
    let pages = inspected["pages"].as_array().ok_or("inspect tells no pages")?;
    let of_kind = pages.iter().find(|pages| pages["kind"] == kind);
    let of_kind = of_kind.ok_or_else(|| format!("inspect tells no {kind}: {pages:?}"))?;
    let page = inspected["page_size"].as_u64().ok_or("inspect tells no page size")?;
    let count = of_kind[what].as_u64().ok_or_else(|| format!("inspect does not tell {what} of {kind}: {of_kind}"))?;
    Ok(count * page)
}

pub fn snapshot_arguments(pid: u32, image: &Path) -> Vec<std::ffi::OsString> {
    let mut arguments: Vec<std::ffi::OsString> = vec!["snapshot".into(), pid.to_string().into(), "--image".into()];
    arguments.push(image.into());
    arguments.extend(["--no-quiesce".into(), "--max-stop".into(), "2s".into()]);
    arguments
}

/// Takes an image, which must be there afterwards, whole, private and alone.
pub fn take(pid: u32, image: &Path) -> Outcome<Finished> {
    use std::os::unix::fs::PermissionsExt;
    let finished = snapshot(pid, image)?.succeeds()?;
    let metadata = image.metadata().map_err(|error| format!("there is no image {}: {error}", image.display()))?;
    ensure!(metadata.is_file() && metadata.len() > 1 << 20, "the image has {} bytes", metadata.len());
    ensure_eq!(metadata.permissions().mode() & 0o777, 0o600, "mode of the image");
    no_unfinished(image)?;
    Ok(finished)
}

/// No half-written file lies beside the image.
pub fn no_unfinished(image: &Path) -> Outcome {
    let directory = image.parent().unwrap_or(Path::new("."));
    let names = crate::scratch::names(directory)?;
    let left = names.iter().find(|name| name.starts_with('.') && name.ends_with(".tmp"));
    ensure!(left.is_none(), "an unfinished file was left in {}: {left:?}", directory.display());
    Ok(())
}
