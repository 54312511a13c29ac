//! Two file names that HotSpot unlinks at exit: an instance's must not be the captured JVM's.
//!
//! `PerfMemory` (hsperfdata_USER/PID) is reached by a pointer to a C string, the attach socket
//! (.java_pidPID) lies in a static array. Both are found by looking for their text in libjvm's
//! writable segments, so that no symbol table is needed.
//!
//! # Safety contract of this file
//! Reads libjvm's own data and bss segments. What pointers found there point at is read through
//! /proc/self/mem, since it may be unmapped meanwhile. `AttachPath::clear` writes one byte of HotSpot's
//! static array.
#![allow(unsafe_code)]

use super::Mapping;
use super::libjvm;
use super::vmstructs::{VmStructs, read};
use hotfork_abi::Plain;
use hotfork_abi::record::PerfMemory;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// HotSpot allocates room for this many digits of a pid and a little more (os::perf: UINT_CHARS + 2).
const ROOM_FOR_PID: u64 = 12;

/// The performance memory's mapping and its file's name; all 0 when it is not a file.
pub fn performance_memory(structs: &VmStructs, maps: &[Mapping]) -> PerfMemory {
    let start = structs.value("PerfMemory", "_start");
    let mapping = start.and_then(|start| {
        maps.iter().find(|mapping| mapping.from == start && !mapping.private && mapping.path.starts_with('/'))
    });
    let Some(mapping) = mapping else { return PerfMemory::zeroed() };
    let path = mapping.path.trim_end_matches(" (deleted)");
    let directory = path.rsplit_once('/').map_or(path.len(), |(directory, _)| directory.len());
    let name = find_pointer_to(path, maps).unwrap_or(0);
    PerfMemory {
        address: mapping.from,
        length: mapping.to - mapping.from,
        name,
        name_capacity: if name == 0 { 0 } else { directory as u64 + ROOM_FOR_PID },
    }
}

/// Removes what HotSpot itself would remove at a graceful end: the names by which tools find this JVM.
pub fn remove_announcements() {
    let mut files: Vec<std::path::PathBuf> = AttachPath::find().and_then(AttachPath::text).into_iter().collect();
    let own = format!("/{}", std::process::id());
    files.extend(super::maps().unwrap_or_default().into_iter().filter_map(|mapping| {
        (mapping.path.contains("/hsperfdata_") && mapping.path.ends_with(&own)).then(|| mapping.path.into())
    }));
    for file in files {
        if let Err(error) = std::fs::remove_file(&file) {
            log::debug!("{} stays behind: {error}", file.display());
        }
    }
}

fn find_pointer_to(text: &str, maps: &[Mapping]) -> Option<u64> {
    let library = libjvm::loaded()?;
    let private: Vec<(u64, u64)> = maps
        .iter()
        .filter(|mapping| mapping.writable && mapping.private)
        .map(|mapping| (mapping.from, mapping.to))
        .collect();
    let memory = File::open("/proc/self/mem").ok()?;
    let wanted = [text.as_bytes(), b"\0"].concat();
    let mut bytes = vec![0; wanted.len()];
    library.writable.iter().flat_map(|&(from, to)| (from..to & !7).step_by(8)).find_map(|place| {
        // SAFETY: `place` is an aligned word of libjvm's writable segment.
        let pointer = unsafe { read(place) };
        let end = pointer.checked_add(wanted.len() as u64)?;
        let index = private.partition_point(|&(from, _)| from <= pointer).checked_sub(1)?;
        if end > private[index].1 {
            return None;
        }
        memory.read_exact_at(&mut bytes, pointer).ok()?;
        (bytes == wanted).then_some(pointer)
    })
}

/// HotSpot's static copy of the attach socket's path.
#[derive(Clone, Copy)]
pub struct AttachPath(u64);

impl AttachPath {
    /// `None` when nobody has attached yet.
    pub fn find() -> Option<Self> {
        let text = format!("/.java_pid{}\0", std::process::id());
        let library = libjvm::loaded()?;
        library.writable.iter().find_map(|&(from, to)| {
            // SAFETY: a writable segment of libjvm, mapped as long as libjvm is loaded. Other threads may
            // write there meanwhile; bytes are only compared.
            let segment = unsafe { std::slice::from_raw_parts(from as *const u8, (to - from) as usize) };
            let at = find(segment, text.as_bytes())?;
            let start = segment[..at].iter().rposition(|&byte| byte == 0).map_or(0, |position| position + 1);
            Some(Self(from + start as u64))
        })
    }

    /// The path that HotSpot will unlink.
    fn text(self) -> Option<std::path::PathBuf> {
        // SAFETY: a NUL-terminated string in HotSpot's static `_path`.
        let text = unsafe { std::ffi::CStr::from_ptr(self.0 as *const std::ffi::c_char) };
        text.to_str().ok().map(std::path::PathBuf::from)
    }

    /// Makes HotSpot forget the path: at exit it would unlink the captured JVM's socket.
    pub fn clear(self) {
        // SAFETY: the first byte of HotSpot's static `_path`, which its own code sets to NUL likewise.
        unsafe { (self.0 as *mut u8).write(0) };
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    // A page of .bss that was never touched is all zero: skip quickly by the first byte.
    let mut from = 0;
    while let Some(at) = haystack[from..].iter().position(|&byte| byte == needle[0]) {
        if haystack[from + at..].starts_with(needle) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn text_is_found_where_it_is() {
        assert_eq!(find(b"a//.java_pid7\0", b"/.java_pid7\0"), Some(2));
        assert_eq!(find(b"/.java_pid77\0", b"/.java_pid7\0"), None);
    }
}
