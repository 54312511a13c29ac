//! What the restorer and the instance need to know besides the memory itself.

use super::captured::{Captured, c_string};
use super::template::{Template, TemplateError};
use super::vdso;
use crate::image::manifest::{Entry, MemoryMapFields, VdsoSymbol};
use crate::proc::auxv;
use crate::proc::maps::Mapping;
use crate::proc::smaps::DetailedMapping;
use crate::proc::{ProcError, stat};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    #[error(transparent)]
    Proc(#[from] ProcError),
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error("the template's vdso at {address:#x} cannot be understood: {error}")]
    Vdso { address: u64, error: object::Error },
    #[error("the template has no vdso, which libc calls for the time")]
    NoVdso,
    #[error("the kernel hides the template's memory map; save as the user that the JVM runs as")]
    Hidden,
}

pub fn describe(
    template: &Template,
    captured: &Captured,
    mappings: &[DetailedMapping],
    maps_before: &[Mapping],
    perf_operation: Option<u64>,
) -> Result<Entry, EntryError> {
    let record = &captured.record;
    let memory_map = memory_map(template, record.curbrk, mappings)?;
    let vdso = vdso_symbols(template, &memory_map.auxv, mappings)?;
    Ok(Entry {
        record: template.up.record,
        instance_prepare: record.instance_prepare,
        instance_others: record.instance_others,
        instance_entry: record.instance_entry,
        entry_stack: record.entry_stack,
        curbrk: record.curbrk,
        vdso,
        memory_map,
        perf_address: record.perf.address,
        perf_length: record.perf.length,
        perf_name_capacity: record.perf.name_capacity,
        perf_operation,
        perf_file: perf_file(template, captured, maps_before)?,
        leader_tid: captured.slots[record.leader as usize].tid,
        clock_goes_on: record.jvm_clock.replaced != 0,
    })
}

fn memory_map(template: &Template, curbrk: u64, mappings: &[DetailedMapping]) -> Result<MemoryMapFields, EntryError> {
    let mut fields = template.process().parse("stat", stat::parse)?;
    // A process that may not be looked at shows 1 here, and 0 in the rest.
    if fields.start_code <= 1 || fields.arg_start == 0 {
        return Err(EntryError::Hidden);
    }
    fields.auxv = template.process().read("auxv")?;
    let heap_end =
        mappings.iter().find(|one| one.mapping.name == b"[heap]").map_or(fields.start_brk, |one| one.mapping.end);
    // The kernel's own value is in no file; glibc's copy of it is exact to the byte.
    let known = match curbrk {
        0 => None,
        address => auxv::words(&template.read(address, 8)?).next(),
    };
    fields.brk = known.filter(|brk| (fields.start_brk..=heap_end).contains(brk)).unwrap_or(heap_end);
    Ok(fields)
}

/// The vdso that libc's pointers lead to: named in maps, or where the auxiliary vector says (gVisor does not name it).
fn vdso_symbols(
    template: &Template,
    auxiliary: &[u8],
    mappings: &[DetailedMapping],
) -> Result<Vec<VdsoSymbol>, EntryError> {
    let header = auxv::value(auxiliary, libc::AT_SYSINFO_EHDR).unwrap_or(0);
    let named = mappings.iter().find(|one| one.mapping.name == b"[vdso]");
    let mapping = named
        .or_else(|| mappings.iter().find(|one| one.mapping.range().contains(&header)))
        .ok_or(EntryError::NoVdso)?;
    let address = mapping.mapping.start;
    let bytes = template.read(address, mapping.mapping.length())?;
    vdso::symbols(address, &bytes).map_err(|error| EntryError::Vdso { address, error })
}

/// The captured JVM's hsperfdata file, as HotSpot remembers its name, else as it was mapped.
fn perf_file(
    template: &Template,
    captured: &Captured,
    maps_before: &[Mapping],
) -> Result<Option<PathBuf>, TemplateError> {
    let perf = &captured.record.perf;
    if perf.address == 0 {
        return Ok(None);
    }
    if perf.name != 0 && perf.name_capacity != 0 {
        let name = c_string(template, perf.name, perf.name_capacity)?;
        if name.starts_with(b"/") {
            return Ok(Some(OsString::from_vec(name).into()));
        }
    }
    let mapped = maps_before.iter().find(|mapping| mapping.is_hsperfdata() && mapping.start == perf.address);
    Ok(mapped.and_then(Mapping::file).map(PathBuf::from))
}
