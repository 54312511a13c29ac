//! A trial of a new image: an instance of it serves a few requests on ports that the kernel chose, and is killed. Which
//! pages it wrote by its first answer, the next instances will write as well: they are brought in ahead of need.
//!
//! ```text
//!  allowed   whether this process may start an instance at all
//!  instance  the instance: started, met, ended, nothing left of it
//!  requests  what is asked of it, and how long that took
//!  pages     what it wrote
//! ```
//! What the instance prints is thrown away, and so is what it appends to files (`restore --discard-writes`). What it does
//! to others, a database or another service, is done: so there is a trial only where somebody asked for one.

mod allowed;
mod instance;
pub mod pages;
mod requests;

use crate::image::manifest::{Manifest, Trial};
use crate::load::target::Target;
use crate::proc::Process;
pub use allowed::check as allowed;
use hotfork_abi::Text;
use hotfork_abi::capture::Begin;
use hotfork_abi::load::is_url;
use hotfork_abi::record::CaptureRecord;
use hotfork_abi::restore::{MapOperation, OP_ADVISE, OP_ADVISE_LATER};
use instance::Instance;
use std::path::Path;

/// What is wrong with the values of `--trial`; without any, those of `--load` are asked for.
pub fn check(trials: &[String], loads: &[String]) -> Result<(), String> {
    trials.iter().try_for_each(|url| Target::parse(url).map(drop)).map_err(|why| format!("--trial: {why}"))?;
    let (option, asked) = if trials.is_empty() { ("--load", loads) } else { ("--trial", trials) };
    let urls: Vec<&str> = asked.iter().map(String::as_str).filter(|url| is_url(url)).collect();
    if fits(|begin| &begin.trial, &urls.join("\n")) {
        return Ok(());
    }
    Err(format!("{option}: the addresses of a trial are too long together; name fewer ones with --trial"))
}

/// Whether the message to the helper holds it.
fn fits<const N: usize>(_field: fn(&Begin) -> &Text<N>, text: &str) -> bool {
    Text::<N>::fits(text)
}

/// Tries the image at `path`. What to bring in ahead, and what was seen; `Err` says why there was no trial.
pub fn run(
    path: &Path,
    targets: &[Target],
    operations: &[MapOperation],
    manifest: &Manifest,
    record: &CaptureRecord,
) -> Result<(Vec<MapOperation>, Trial), String> {
    let instance = Instance::start(path, manifest)?;
    let asked = ask(&instance, targets, operations, record.deoptimizations, manifest.threads.len());
    // What an instance cannot do any more once it was ended for its slowness is not the reason.
    if instance.end() { Err(instance::too_slow()) } else { asked }
}

fn ask(
    instance: &Instance,
    targets: &[Target],
    operations: &[MapOperation],
    deoptimizations: u64,
    threads: usize,
) -> Result<(Vec<MapOperation>, Trial), String> {
    let look = || pages::written(instance.process(), operations).map_err(|error| error.to_string());
    let alive = instance.comes_to_rest(threads)?;
    let read = || pages::read(instance.process(), operations).map_err(|error| error.to_string());
    let (before, read_before) = (look()?, read()?);
    let deoptimized = || deoptimizations_at(instance.process(), deoptimizations);
    let deoptimized_before = deoptimized();
    let first = requests::first(instance, targets)?;
    // Before the other addresses are asked for: what each of them writes besides, most instances never need.
    let by_first_answer = pages::without(&look()?, &before);
    let read_now = read()?;
    let read_by_first_answer = pages::without(&read_now, &read_before);
    let huge = pages::huge(&read_now, operations);
    let used = instance.used();
    let later = requests::later(instance, targets)?;
    let compiling_ns = instance.compiled(alive);
    let deoptimizations = deoptimized().zip(deoptimized_before).map(|(now, before)| now.wrapping_sub(before));
    let trial = Trial {
        first_request_ns: first,
        later_request_ns: later,
        pages_before: pages::count(&before),
        pages_by_first_answer: pages::count(&by_first_answer),
        pages_read_by_first_answer: pages::count(&read_by_first_answer),
        faults: used.faults,
        threads: used.threads,
        compiling_ns,
        deoptimizations,
        poor: Trial::is_poor(compiling_ns, deoptimizations),
    };
    let mut populate = pages::populate(&before, OP_ADVISE);
    populate.extend(pages::populate(&by_first_answer, OP_ADVISE_LATER));
    populate.extend(pages::map_later(&pages::without(&read_by_first_answer, &huge)));
    populate.extend(pages::read_ahead(&read_before, &huge, operations));
    Ok((populate, trial))
}

/// How often a JVM has deoptimized a method, if the address of that count is known, and may be read: that takes more than the rest of a trial
/// does (PTRACE_MODE_ATTACH, of which Yama's ptrace_scope may deprive users).
fn deoptimizations_at(process: Process, address: u64) -> Option<u32> {
    let count = (address != 0).then(|| process.word(address))?;
    count.inspect_err(|error| log::warn!("uncommon traps are not counted: {error}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_looked_at() {
        let check = |trials: &[&str], loads: &[&str]| {
            let owned = |list: &[&str]| list.iter().map(|&one| one.to_owned()).collect::<Vec<_>>();
            check(&owned(trials), &owned(loads))
        };
        assert_eq!(check(&[], &[]), Ok(()));
        assert_eq!(check(&["http://localhost:8080/a"], &["curl x"]), Ok(()));
        let why = check(&["localhost:8080"], &[]).unwrap_err();
        assert!(why.starts_with("--trial: localhost:8080: it does not begin with http://"), "{why}");
        let long = format!("http://localhost/{}", "a".repeat(4096 - 17));
        assert_eq!(check(&[&long], &[]), Ok(()));
        assert!(check(&[&long, "http://h/"], &[]).unwrap_err().starts_with("--trial: the addresses"));
        assert!(check(&[], &[&long, "http://h/"]).unwrap_err().starts_with("--load: the addresses"));
        assert_eq!(check(&["http://h/"], &[&long, "http://h/"]), Ok(()));
        // A command is no address.
        assert_eq!(check(&[], &[&"a".repeat(5000)]), Ok(()));
    }
}
