//! From a template to an image file.

use super::areas::{self, Context};
use super::arenas;
use super::captured::Captured;
use super::entry;
use super::first_pages;
use super::huge_pages;
use super::kinds::{Counts, Kinds};
use super::operations::{self, Plan};
use super::order;
use super::pages::{PagesError, Selection};
use super::template::{Template, TemplateError};
use crate::descriptors::Recorded;
use crate::exit::{ExitCode, Failure};
use crate::host;
use crate::identity::command::Command;
use crate::identity::files;
use crate::image::format::PAGES_START;
use crate::image::manifest::{Entry, Evidence, Jdk, Manifest, Taken, Thread};
use crate::image::temporary::Temporary;
use crate::image::write::{self, Finished, Pages};
use crate::load::target::Target;
use crate::proc::maps::Mapping;
use crate::proc::pagemap::Pagemap;
use crate::proc::smaps::{self, DetailedMapping};
use crate::proc::{ProcError, Process};
use crate::report::Saved;
use crate::trial;
use hotfork_abi::PAGE;
use hotfork_abi::capture::Begin;
use hotfork_abi::record::{NO_LULL, RANGE_CODE};
use hotfork_abi::restore::OP_ADVISE;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What is known of the JVM besides its template.
pub struct Facts<'a> {
    pub process: Process,
    pub begin: &'a Begin,
    /// Root directory of the JVM, from here.
    pub root: PathBuf,
    pub command: Command,
    pub maps_before: &'a [Mapping],
    pub temporary_directories: &'a [PathBuf],
    pub uid: u32,
    /// Whether there may be a trial; else why not.
    pub trial_allowed: Result<(), String>,
    pub stop_began: u64,
    pub stopped: u64,
}

/// Batches between two words about progress.
const PROGRESS_EVERY: usize = 8;

/// What has come of a template.
pub enum Made {
    Saved(Box<Saved>),
    /// The image that is there stays; why.
    NotBetter(String),
}

/// Writes the image and ends the template as early as possible: until then the JVM pays for pages that it changes.
pub fn save(
    template: Template,
    facts: Facts,
    mut recorded: Recorded,
    temporary: Temporary,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Made, Failure> {
    let image = temporary.image().to_path_buf();
    let failed = |why: &dyn std::fmt::Display| {
        Failure::new(ExitCode::SaveFailed, format!("cannot save image {}: {why}; the JVM goes on", image.display()))
    };
    let process = template.process();
    let captured = Captured::read(&template).map_err(|error| failed(&error))?;
    let mappings = process.parse("smaps", smaps::parse).map_err(|error| failed(&error))?;
    refuse_missing(&mappings, &facts).map_err(|problem| match problem {
        Missing::Unknown(error) => failed(&error),
        Missing::Refused(failure) => failure,
    })?;
    let (plan, counts) = plan(&template, &captured, &mappings, &facts).map_err(|error| failed(&error))?;
    let mut pages_end = plan.pages_end;
    for (place, contents) in recorded.descriptors.contents.iter_mut().zip(&recorded.contents) {
        place.offset = pages_end;
        pages_end += contents.length().next_multiple_of(PAGE);
    }
    write::reserve(&temporary, pages_end)?;
    write_pages(&template, &plan, &temporary, progress).map_err(|error| match error.errno() {
        Some(errno) if errno != libc::EFAULT => {
            write::failed(&image, "the template cannot write its pages", &io::Error::from_raw_os_error(errno))
        }
        _ => failed(&error),
    })?;
    write::punch(&temporary, &plan.holes)?;
    let entry = entry::describe(&template, &captured, &mappings, facts.maps_before, plan.perf_operation)
        .map_err(|error| failed(&error))?;
    template.end().map_err(|error| failed(&error))?;

    for (place, contents) in recorded.descriptors.contents.iter().zip(&recorded.contents) {
        contents.write_to(temporary.file(), place.offset)?;
    }
    let mut manifest = manifest(&facts, &captured, &plan, counts, recorded, entry).map_err(|why| failed(&why))?;
    let mut operations = plan.operations;
    let pages = Pages::read_back(&temporary, pages_end)?;
    let targets = targets(facts.begin.trial.as_str());
    if !targets.is_empty() {
        let allowed = facts.trial_allowed.clone();
        let tried = allowed.and_then(|()| targets.into_iter().collect::<Result<Vec<_>, _>>());
        if tried.is_ok() {
            pages.write_tables(&temporary, &operations, &manifest)?;
        }
        let tried =
            tried.and_then(|targets| trial::run(temporary.path(), &targets, &operations, &manifest, &captured.record));
        manifest.trial = Some(tried.map(|(populate, trial)| {
            operations.extend(populate);
            trial
        }));
    }
    if matches!(manifest.trial, Some(Ok(_))) {
        if let Some(heap) = captured.heap() {
            let advice = huge_pages::of_free_heap(&heap, &operations);
            operations.extend(advice);
        }
    } else {
        let pages = first_pages::of_threads(&captured.record, &captured.slots);
        let pages = trial::pages::ownable(&pages, &operations);
        operations.extend(trial::pages::populate(&pages, OP_ADVISE));
    }
    if let Some(why) = not_better(facts.begin.better_than, &manifest) {
        return Ok(Made::NotBetter(why));
    }
    let poor = matches!(&manifest.trial, Some(Ok(trial)) if trial.poor);
    let Finished { size, file_length } = pages.finish(temporary, &operations, &manifest)?;
    Ok(Made::Saved(Box::new(Saved {
        hotfork_version: hotfork_abi::VERSION,
        image,
        size,
        file_length,
        stop_began_ns: facts.stop_began,
        verdict_ns: manifest.taken.evidence.as_ref().map(|evidence| evidence.judged_ns),
        stopped_ns: facts.stopped,
        saving_ns: 0,
        pid: facts.process.0,
        threads: captured.slots.len(),
        mappings: plan.mapping_count,
        descriptors: manifest.descriptors.numbers.len(),
        pages: manifest.pages,
        trial: manifest.trial,
        taken_again: poor && facts.begin.tries_left > 0,
    })))
}

/// Why an image is not to take the place of one whose trial has cost so much, 0 if there is none.
fn not_better(cost: u64, manifest: &Manifest) -> Option<String> {
    match &manifest.trial {
        _ if cost == 0 => None,
        Some(Ok(trial)) if trial.cost() < cost => None,
        Some(Ok(trial)) => Some(format!("first request and compilers took {:.1} ms", trial.cost() as f64 / 1e6)),
        Some(Err(why)) => Some(format!("its trial failed: {why}")),
        None => Some("it had no trial".into()),
    }
}

/// A line each.
fn targets(text: &str) -> Vec<Result<Target, String>> {
    text.lines().map(Target::parse).collect()
}

fn plan(
    template: &Template,
    captured: &Captured,
    mappings: &[DetailedMapping],
    facts: &Facts,
) -> Result<(Plan, Counts), PagesError> {
    let agent = Path::new(facts.begin.agent.as_str());
    let own = mapping_of(template.up.record, mappings);
    let restored_from = restored_from(captured, own, mappings, agent);
    let own_restored = own.is_some_and(|own| areas::is_restored(own, restored_from));
    let anonymous = mappings.iter().map(|one| &one.mapping).filter(|mapping| {
        (mapping.is_anonymous() && mapping.name.is_empty()) || areas::is_restored(mapping, restored_from)
    });
    let anonymous: Vec<_> = anonymous.map(Mapping::range).collect();
    let arenas = arenas::find(&anonymous, template)?;
    let java_home = captured.record.java_home.as_str();
    let canonical = files::below(&facts.root, Path::new(java_home)).canonicalize();
    // In a container the canonical path begins with the root as it is called here.
    let java_home = match canonical {
        Ok(path) if facts.process_shares_root() => path,
        _ => PathBuf::from(java_home),
    };
    let stack_pointers = captured.stack_pointers();
    let areas = areas::plan(
        mappings,
        &Context {
            known: captured.known(),
            perf: captured.record.perf,
            stack_pointers: &stack_pointers,
            java_home: &java_home,
            agent,
            temporary: facts.temporary_directories,
            arenas: &arenas,
            restored_from,
            restored_beside_foreign: restored_from.is_some() && !own_restored,
        },
    );
    let mut dead = captured.dead_heap(template)?;
    dead.extend(captured.dead_code(template)?);
    dead.extend(captured.dead_stacks(template, mappings)?);
    dead.extend(captured.dead_malloc(&arenas, template)?);
    dead.sort_unstable_by_key(|range| range.start);
    let mut selection = Selection {
        template,
        pagemap: Pagemap::open(template.process())?,
        kinds: Kinds::new(captured.known()),
        dead,
        counts: Counts::default(),
    };
    let contents: Result<Vec<_>, _> = areas.into_iter().map(|area| selection.of(area)).collect();
    let mut plan = operations::plan(&contents?, PAGES_START);
    order::downwards(&mut plan);
    Ok((plan, selection.counts))
}

/// The code cache is anonymous, and the agent's own memory is that or its library's; but in a restored JVM the one is mapped from
/// the image unless it lies in huge pages, the other unless there are foreign libraries.
fn restored_from<'a>(
    captured: &Captured,
    own: Option<&'a Mapping>,
    mappings: &'a [DetailedMapping],
    agent: &Path,
) -> Option<(u64, &'a [u8])> {
    let code = captured.known().iter().filter(|known| known.kind == RANGE_CODE);
    let code = code.filter_map(|known| mapping_of(known.address, mappings));
    let mapping = code.chain(own).find(|mapping| mapping.file().is_some_and(|path| path != agent))?;
    Some((mapping.inode, mapping.name.as_slice()))
}

fn mapping_of(address: u64, mappings: &[DetailedMapping]) -> Option<&Mapping> {
    mappings.iter().map(|one| &one.mapping).find(|mapping| mapping.range().contains(&address))
}

/// What was done to bring the JVM to rest, with what came last.
fn rest(before: &str, lull: u64) -> String {
    let lull = match lull {
        0 => String::new(),
        NO_LULL => "no lull in time".into(),
        nanoseconds => format!("a lull after {:.1?}", Duration::from_nanos(nanoseconds)),
    };
    [before, &lull].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
}

fn write_pages(
    template: &Template,
    plan: &Plan,
    temporary: &Temporary,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), TemplateError> {
    let file: OwnedFd = temporary.file().try_clone().map_err(TemplateError::Scratch)?.into();
    let total: u64 = plan.writes.iter().map(|range| range.length).sum();
    let mut done = 0;
    for ranges in plan.writes.chunks(PROGRESS_EVERY) {
        template.write(&file, ranges)?;
        done += ranges.iter().map(|range| range.length).sum::<u64>();
        progress(done, total);
    }
    Ok(())
}

impl Facts<'_> {
    /// Whether the JVM has the root directory that this process has.
    fn process_shares_root(&self) -> bool {
        use std::os::unix::fs::MetadataExt;
        let identity = |path: &Path| std::fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino())).ok();
        identity(&self.root).is_some_and(|root| identity(Path::new("/")) == Some(root))
    }
}

enum Missing {
    Unknown(ProcError),
    Refused(Failure),
}

/// Memory under MADV_DONTFORK never reaches a template. Whether a mapping that is missing there is of that kind or was
/// unmapped in the meantime, only the JVM's own smaps can tell.
fn refuse_missing(template: &[DetailedMapping], facts: &Facts) -> Result<(), Missing> {
    let covered = |mapping: &Mapping| {
        let at = template.partition_point(|one| one.mapping.end <= mapping.start);
        template.get(at).is_some_and(|one| one.mapping.start <= mapping.start)
    };
    let own = |mapping: &Mapping| mapping.inode == 0 && mapping.name.starts_with(b"[v");
    if facts.maps_before.iter().all(|mapping| own(mapping) || covered(mapping) || mapping.protection() == 0) {
        return Ok(());
    }
    let jvm = facts.process.parse("smaps", smaps::parse).map_err(Missing::Unknown)?;
    let lost = jvm.iter().find(|one| one.flags.do_not_fork && one.mapping.protection() != 0 && !covered(&one.mapping));
    match lost {
        None => Ok(()),
        Some(one) => Err(Missing::Refused(Failure::new(
            ExitCode::Refused,
            format!(
                "cannot capture: {} at {:#x}-{:#x} is marked MADV_DONTFORK, so no copy of it can be had; \
                 run without the library that marks it (RDMA and DPDK do)",
                one.mapping.label(),
                one.mapping.start,
                one.mapping.end
            ),
        ))),
    }
}

fn manifest(
    facts: &Facts,
    captured: &Captured,
    plan: &Plan,
    counts: Counts,
    recorded: Recorded,
    entry: Entry,
) -> Result<Manifest, String> {
    let record = &captured.record;
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let identity = facts.command.identity().map_err(|error| text(&error))?;
    let files: Result<Vec<_>, _> = plan.files.iter().map(|path| files::describe(&facts.root, path)).collect();
    let names = |name: [u8; 16]| String::from_utf8_lossy(&name).trim_end_matches('\0').to_owned();
    Ok(Manifest {
        hotfork_version: hotfork_abi::VERSION.into(),
        cwd: facts.command.cwd.clone(),
        identity,
        jdk: Jdk {
            home: record.java_home.as_str().into(),
            vm_name: record.vm_name.as_str().into(),
            vm_version: record.vm_version.as_str().into(),
            vm_vendor: record.vm_vendor.as_str().into(),
            collector: record.collector.as_str().into(),
        },
        cpu: host::cpu_x86_64::read(),
        taken: Taken {
            host: nix::unistd::gethostname()
                .map(|name| name.to_string_lossy().into_owned())
                .map_err(|error| text(&error))?,
            kernel: host::kernel::release(),
            pid: facts.begin.pid,
            uid: facts.uid,
            clocks: record.clocks.into(),
            // Empty in some sandboxes: then a restore always asks about the CPU.
            boot_id: host::kernel::boot_id().to_owned(),
            stopped: facts.stopped,
            occasion: facts.begin.occasion.as_str().into(),
            rest: rest(facts.begin.rest.as_str(), captured.record.lull),
            evidence: Evidence::read(&facts.begin.evidence),
        },
        threads: captured.slots.iter().map(|slot| Thread { tid: slot.tid, name: names(slot.name) }).collect(),
        files: files.map_err(|error| text(&error))?,
        descriptors: recorded.descriptors,
        entry,
        pages: counts.table(),
        mapping_count: plan.mapping_count,
        private_writable: plan.private_writable,
        total_mapped: plan.total_mapped,
        max_heap: captured.max_heap(),
        trial: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_step_to_rest_is_told_too() {
        assert_eq!(rest("", 0), "");
        assert_eq!(rest("collected in 7.1ms", 0), "collected in 7.1ms");
        assert_eq!(rest("collected in 7.1ms", 3_140_000), "collected in 7.1ms, a lull after 3.1ms");
        assert_eq!(rest("collected in 7.1ms", NO_LULL), "collected in 7.1ms, no lull in time");
    }
}
