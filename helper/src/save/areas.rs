//! What becomes of each mapping of a template.

use super::libraries;
use crate::proc::maps::Mapping;
use crate::proc::smaps::{DetailedMapping, VmFlags};
use hotfork_abi::record::{KnownRange, PerfMemory};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Private memory: what it holds goes into the image.
    Anonymous,
    /// Anonymous memory that must be zero in whoever is not the captured JVM (MADV_WIPEONFORK, MAP_DROPPABLE).
    Wiped,
    /// Mapped privately from a file again, pages that the JVM wrote laid over it.
    PrivateFile { path: PathBuf, offset: u64 },
    /// A read-only shared mapping of a file.
    SharedFile { path: PathBuf, offset: u64 },
    /// A file's mapping whose file will not be there: all of it goes into the image.
    Carried,
}

/// A range of a template's memory that is treated as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Area {
    pub start: u64,
    pub end: u64,
    /// PROT_*
    pub protection: u32,
    pub flags: VmFlags,
    pub page_size: u64,
    pub source: Source,
    /// Whether its pages may be mapped from the image file. If not they are copied into anonymous memory, because
    /// its owner may count on MADV_DONTNEED to make zeros.
    pub mapped_from_image: bool,
    /// Whether the kernel knows of any page in it.
    pub holds_pages: bool,
    /// A thread's stack pointer lies in it.
    pub stack: bool,
    /// HotSpot's performance memory: one operation of its own.
    pub performance: bool,
    /// Parts of it that are mapped from the image which this JVM was restored from: every page of them counts.
    pub restored: Vec<Range<u64>>,
}

impl Area {
    pub fn length(&self) -> u64 {
        self.end - self.start
    }

    /// Whether the page comes from an earlier image. The ranges are in order.
    pub fn is_restored(&self, page: u64) -> bool {
        let next = self.restored.partition_point(|range| range.end <= page);
        self.restored.get(next).is_some_and(|range| range.contains(&page))
    }

    pub fn is_readable(&self) -> bool {
        self.protection & libc::PROT_READ as u32 != 0
    }
}

/// What planning must know besides the mappings.
pub struct Context<'a> {
    pub known: &'a [KnownRange],
    pub perf: PerfMemory,
    pub stack_pointers: &'a [u64],
    pub java_home: &'a Path,
    pub agent: &'a Path,
    pub temporary: &'a [PathBuf],
    /// Ranges of glibc's arenas.
    pub arenas: &'a [Range<u64>],
    /// Inode and name of the image that this JVM was restored from. What is mapped from it is ordinary memory.
    pub restored_from: Option<(u64, &'a [u8])>,
    /// That image was taken beside foreign libraries; their code may lie in it.
    pub restored_beside_foreign: bool,
}

impl Context<'_> {
    fn is_restored(&self, mapping: &Mapping) -> bool {
        is_restored(mapping, self.restored_from)
    }
}

/// Whether this is memory of the image with that inode and name.
pub fn is_restored(mapping: &Mapping, image: Option<(u64, &[u8])>) -> bool {
    !mapping.shared && image == Some((mapping.inode, mapping.name.as_slice()))
}

/// Left out: the restoring host has its own of these.
const HOST_ONLY: [&[u8]; 4] = [b"[vvar]", b"[vvar_vclock]", b"[vsyscall]", b"[uprobes]"];
/// A data file no longer than this (a locale's, gconv's cache) travels in the image: other hosts may not have it.
const SMALL_DATA: u64 = 1 << 20;

pub fn plan(mappings: &[DetailedMapping], context: &Context) -> Vec<Area> {
    let own = |path: &Path| path.starts_with(context.java_home) || path == context.agent || libraries::is_system(path);
    let code = mappings.iter().map(|one| &one.mapping).filter(|mapping| mapping.execute);
    let foreign = context.restored_beside_foreign
        || code.filter(|code| !context.is_restored(code)).any(|code| code.file().is_some_and(|path| !own(path)));
    let carried = carried_files(mappings, context);
    let mut areas: Vec<Area> = Vec::new();
    for one in mappings.iter().filter(|one| !HOST_ONLY.contains(&one.mapping.name.as_slice())) {
        let source = source(one, &carried, context);
        for range in split(one.mapping.range(), &source, foreign, context) {
            let area = area(one, range, source.clone(), foreign, context);
            match areas.last_mut() {
                Some(last) if continues(last, &area) => {
                    last.end = area.end;
                    last.holds_pages |= area.holds_pages;
                    last.stack |= area.stack;
                    last.restored.extend(area.restored);
                }
                _ => areas.push(area),
            }
        }
    }
    areas
}

fn source(one: &DetailedMapping, carried: &BTreeMap<PathBuf, bool>, context: &Context) -> Source {
    let mapping = &one.mapping;
    if one.flags.wipe_on_fork || one.flags.droppable {
        return Source::Wiped;
    }
    if mapping.is_anonymous() || context.is_restored(mapping) {
        return Source::Anonymous;
    }
    match mapping.file() {
        Some(path) if !carried.get(path).copied().unwrap_or(true) => {
            let (path, offset) = (path.to_path_buf(), mapping.offset);
            if mapping.shared { Source::SharedFile { path, offset } } else { Source::PrivateFile { path, offset } }
        }
        _ => Source::Carried,
    }
}

/// For each mapped file whether its contents travel in the image. All mappings of a file are treated alike.
fn carried_files(mappings: &[DetailedMapping], context: &Context) -> BTreeMap<PathBuf, bool> {
    let mut files: BTreeMap<PathBuf, (bool, u64, bool)> = BTreeMap::new();
    for one in mappings {
        if let Some(path) = one.mapping.file() {
            let file = files.entry(path.to_path_buf()).or_insert((false, 0, false));
            file.0 |= one.mapping.deleted;
            file.1 += one.mapping.length();
            file.2 |= one.mapping.execute;
        }
    }
    let decide = |path: &Path, deleted: bool, mapped: u64, executable: bool| {
        let belongs = path.starts_with(context.java_home) || path == context.agent;
        let temporary = context.temporary.iter().any(|directory| path.starts_with(directory));
        let small_data = mapped <= SMALL_DATA && !executable && !libraries::is_library_name(path);
        deleted || (!belongs && (temporary || small_data))
    };
    files
        .into_iter()
        .map(|(path, (deleted, mapped, code))| (path.clone(), decide(&path, deleted, mapped, code)))
        .collect()
}

/// Cuts a mapping where its treatment changes inside.
fn split(range: Range<u64>, source: &Source, foreign: bool, context: &Context) -> Vec<Range<u64>> {
    let perf = context.perf.address..context.perf.address + context.perf.length;
    let mut cuts: Vec<u64> = vec![perf.start, perf.end];
    if foreign && *source == Source::Anonymous {
        cuts.extend(context.known.iter().flat_map(|known| [known.address, known.address + known.length]));
        cuts.extend(context.arenas.iter().flat_map(|arena| [arena.start, arena.end]));
    }
    cuts.retain(|cut| range.start < *cut && *cut < range.end && cut % hotfork_abi::PAGE == 0);
    cuts.push(range.end);
    cuts.sort_unstable();
    cuts.dedup();
    let mut start = range.start;
    cuts.into_iter().map(|end| std::mem::replace(&mut start, end)..end).collect()
}

fn area(one: &DetailedMapping, range: Range<u64>, source: Source, foreign: bool, context: &Context) -> Area {
    let holds = |address: u64| range.contains(&address);
    let stack = context.stack_pointers.iter().any(|&pointer| holds(pointer));
    let known = context.known.iter().any(|known| (known.address..known.address + known.length).contains(&range.start));
    let arena = one.mapping.name == b"[heap]" || context.arenas.iter().any(|arena| arena.contains(&range.start));
    let from_file = source != Source::Anonymous;
    let restored = context.is_restored(&one.mapping);
    Area {
        start: range.start,
        end: range.end,
        protection: one.mapping.protection(),
        flags: one.flags,
        page_size: one.page_size,
        // The kernel refuses a file mapping that grows downwards, and hugetlb memory is never a file's.
        mapped_from_image: (from_file || restored || !foreign || known || arena || stack)
            && !one.flags.grows_down
            && !one.flags.hugetlb,
        source,
        holds_pages: one.holds_pages() || restored,
        stack,
        performance: context.perf.length != 0 && holds(context.perf.address),
        restored: if restored { vec![range] } else { Vec::new() },
    }
}

/// Whether `next` only differs from `last` in what operations do not show.
fn continues(last: &Area, next: &Area) -> bool {
    let alike = |flags: VmFlags| VmFlags { locked: false, ..flags };
    let joinable = match (&last.source, &next.source) {
        (Source::Anonymous, Source::Anonymous) => !last.flags.grows_down && !last.flags.hugetlb,
        (Source::Carried, Source::Carried) => true,
        (Source::PrivateFile { path, offset }, Source::PrivateFile { path: next_path, offset: next_offset })
        | (Source::SharedFile { path, offset }, Source::SharedFile { path: next_path, offset: next_offset }) => {
            path == next_path && offset + last.length() == *next_offset
        }
        _ => false,
    };
    joinable
        && last.end == next.start
        && last.protection == next.protection
        && last.mapped_from_image == next.mapped_from_image
        && alike(last.flags) == alike(next.flags)
        && !last.performance
        && !next.performance
}

#[cfg(test)]
#[path = "areas_tests.rs"]
mod tests;
