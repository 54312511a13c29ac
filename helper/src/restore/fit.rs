//! Does the image fit this host? One function for each question, asked before anything is changed.
//! Past the first unmap there is no way back.

use super::operations::{executes_image_pages, mapping_bound, mapping_pieces};
use super::refusal::Refusal;
use crate::host::{cgroup, clocks, cpu_x86_64, kernel, limits};
use crate::image::read::Image;
use nix::sys::resource::Resource;
use nix::sys::statvfs::{FsFlags, fstatvfs};
use std::path::Path;

type Answer = Result<(), Refusal>;
type Question = (&'static str, fn(&Image) -> Answer);

/// Room for the restorer, its stack, the environment and the host's vdso, beside the image's mappings.
const HOLE_ALLOWANCE: u64 = 64 << 20;
/// Descriptors that the helper needs besides one for each mapped file.
const OWN_DESCRIPTORS: u64 = 16;

/// Whether so many tasks may be made as the image needs. The number is that of tasks which this process has besides the first, and which
/// will be gone. By the name that `check` shows, as the others.
pub const TASKS: [(&str, fn(&Image, u64) -> Answer); 2] =
    [("user's processes", user_tasks), ("cgroup's processes", cgroup_tasks)];

/// Asked before anything is opened or mapped for the image.
pub const LIMITS: [Question; 4] = [
    ("write-and-execute", write_and_execute),
    ("address space", address_space),
    ("data size", data_size),
    ("open files", open_files),
];

/// The other questions, in the order of asking.
pub const QUESTIONS: [Question; 6] = [
    ("cpu", cpu),
    ("clock", clock),
    ("proc", proc_is_mounted),
    ("cwd", working_directory),
    ("commit limit", commit_limit),
    ("mappings", mapping_count),
];

/// Within one boot the CPU stays the same, or running processes would fail too. That is worth a question of its own:
/// each of the sixteen CPUID instructions that tell a CPU traps into the hypervisor in a virtual machine.
fn cpu(image: &Image) -> Answer {
    let taken_in = &image.manifest.taken.boot_id;
    if !taken_in.is_empty() && taken_in == kernel::boot_id() {
        return Ok(());
    }
    match cpu_x86_64::mismatch(&image.manifest.cpu, &cpu_x86_64::read_features()) {
        None => Ok(()),
        Some(how) => {
            Err(Refusal::unfit_host(format!("{how}; restore on a CPU like the image's, or take the image again here")))
        }
    }
}

/// Where HotSpot's clock does not go on from where it was, it must not go back.
fn clock(image: &Image) -> Answer {
    let (then, now) = (image.manifest.taken.clocks.monotonic, clocks::monotonic());
    if image.manifest.entry.clock_goes_on || now >= then {
        return Ok(());
    }
    let seconds = |nanoseconds: u64| nanoseconds / 1_000_000_000;
    Err(Refusal::outdated(format!(
        "this host has been up for {} s only, the image's host for {} s: waits in the JVM would hang, which sees the host's clock; take the image again here",
        seconds(now),
        seconds(then)
    )))
}

fn proc_is_mounted(_: &Image) -> Answer {
    // Files of the process itself are the dearer ones to ask for.
    if !kernel::boot_id().is_empty() || Path::new("/proc/self/maps").exists() {
        return Ok(());
    }
    Err(Refusal::resource("/proc is not mounted, and a JVM needs it; run mount -t proc proc /proc"))
}

fn working_directory(image: &Image) -> Answer {
    let cwd = &image.manifest.cwd;
    nix::unistd::access(cwd, nix::unistd::AccessFlags::X_OK).map_err(|error| {
        Refusal::resource(format!(
            "the JVM's working directory {} cannot be entered: {error}; create it",
            cwd.display()
        ))
    })
}

fn write_and_execute(_: &Image) -> Answer {
    if super::denies_write_execute() {
        return Err(Refusal::resource(
            "memory that was written may not become executable here (PR_SET_MDWE): no HotSpot runs so; \
             drop MemoryDenyWriteExecute= from the service",
        ));
    }
    Ok(())
}

fn size(bytes: u64) -> String {
    if bytes >= 1 << 30 {
        format!("{:.1} GB", bytes as f64 / (1u64 << 30) as f64)
    } else {
        format!("{} MB", bytes >> 20)
    }
}

fn address_space(image: &Image) -> Answer {
    let needed = image.manifest.total_mapped + HOLE_ALLOWANCE;
    match limits::soft(Resource::RLIMIT_AS) {
        Some(limit) if limit < needed => Err(Refusal::resource(format!(
            "the JVM needs {} of address space, the limit is {}; raise it with ulimit -v {}",
            size(needed),
            size(limit),
            needed >> 10
        ))),
        _ => Ok(()),
    }
}

fn data_size(image: &Image) -> Answer {
    let needed = image.manifest.private_writable + HOLE_ALLOWANCE;
    match limits::soft(Resource::RLIMIT_DATA) {
        Some(limit) if limit < needed => Err(Refusal::resource(format!(
            "the JVM needs {} of writable memory, the limit is {}; raise it with ulimit -d {}",
            size(needed),
            size(limit),
            needed >> 10
        ))),
        _ => Ok(()),
    }
}

fn commit_limit(image: &Image) -> Answer {
    let needed = image.manifest.private_writable + HOLE_ALLOWANCE;
    let left = kernel::commit_left().map_err(|error| {
        Refusal::resource(format!(
            "what memory is left under vm.overcommit_memory=2 cannot be read: {error}; look at /proc"
        ))
    })?;
    match left {
        Some(left) if left < needed => Err(Refusal::resource(format!(
            "the JVM needs {} of committed memory, {} are left under vm.overcommit_memory=2; free some, or raise vm.overcommit_ratio",
            size(needed),
            size(left)
        ))),
        _ => Ok(()),
    }
}

fn mapping_count(image: &Image) -> Answer {
    /// vdso, vvar, hole, and what the instance maps at once.
    const FURTHER: u64 = 64;
    let limit = kernel::max_map_count();
    if mapping_bound(image.operations()) + FURTHER <= limit {
        return Ok(());
    }
    let needed = mapping_pieces(image.operations()) + FURTHER;
    if limit < needed {
        return Err(Refusal::resource(format!(
            "the JVM needs up to {needed} mappings, the kernel allows {limit}; run sysctl vm.max_map_count={needed}"
        )));
    }
    Ok(())
}

fn open_files(image: &Image) -> Answer {
    let limit = limits::raise_open_files().map_err(|error| {
        Refusal::resource(format!("the limit of open files cannot be read: {error}; look at ulimit -n"))
    })?;
    let highest = image.manifest.descriptors.numbers.iter().map(|number| number.fd).max().unwrap_or(2).max(2);
    let needed = highest as u64 + 1 + image.manifest.files.len() as u64 + OWN_DESCRIPTORS;
    if limit < needed {
        return Err(Refusal::resource(format!(
            "the JVM needs {needed} open files, the limit is {limit}; raise it with ulimit -n {needed}"
        )));
    }
    Ok(())
}

fn user_tasks(image: &Image, own: u64) -> Answer {
    let needed = (image.manifest.threads.len() as u64).saturating_sub(1);
    let left = limits::tasks_left(needed).map_err(|error| {
        Refusal::resource(format!("the tasks of this user cannot be counted: {error}; look at /proc"))
    })?;
    match left.map(|left| left + own) {
        Some(left) if left < needed => Err(Refusal::resource(format!(
            "the JVM needs {needed} more threads, this user may make {left} (RLIMIT_NPROC); raise it with ulimit -u"
        ))),
        _ => Ok(()),
    }
}

fn cgroup_tasks(image: &Image, own: u64) -> Answer {
    let needed = (image.manifest.threads.len() as u64).saturating_sub(1);
    match cgroup::tasks_left() {
        Some(tasks) if tasks.left + own < needed => Err(Refusal::resource(format!(
            "the JVM needs {needed} more threads, {} of {} are left in {}; raise pids.max (docker: --pids-limit)",
            tasks.left + own,
            tasks.limit,
            tasks.group.display()
        ))),
        _ => Ok(()),
    }
}

/// No obstacle, but the user should know: a heap that outgrows its container is killed.
pub fn memory_warning(image: &Image) -> Option<String> {
    let limit = cgroup::memory_limit()?;
    (image.manifest.max_heap > limit).then(|| {
        format!(
            "warning: the JVM's heap may grow to {}, this cgroup's memory is limited to {}; past it the kernel kills it",
            size(image.manifest.max_heap),
            size(limit)
        )
    })
}

/// Whether executable pages of the image must be copied, because its mount forbids mapping them.
pub fn must_copy_code(image: &Image) -> Result<bool, Refusal> {
    if !executes_image_pages(image.operations()) && image.manifest.entry.vdso.is_empty() {
        return Ok(false);
    }
    let mount = fstatvfs(&image.file).map_err(|error| {
        Refusal::resource(format!("the file system of the image cannot be read: {error}; move the image"))
    })?;
    Ok(mount.flags().contains(FsFlags::ST_NOEXEC))
}
