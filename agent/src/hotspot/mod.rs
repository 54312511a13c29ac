//! Where this JVM keeps what a capture and the warm-up detector have to know, read from outside: exported vmStructs,
//! thread-local storage, /proc/self/maps. Only the compile queues, the time of the last deflation, the sweeper's count and that of markings need a symbol table, and only `flags` writes.

mod clock;
pub mod code_cache;
mod code_layout;
pub mod compilers;
pub mod counters;
pub mod flags;
mod heap;
pub mod libjvm;
pub mod marking;
mod metaspace;
mod perf;
pub mod stacks;
mod symbols;
mod threads;
pub mod vmstructs;

pub use clock::waiting_code;
pub use heap::is_collecting;
pub use perf::{AttachPath, remove_announcements};
pub use threads::{java_thread_of, tid_of};

use crate::capture::CaptureError;
use crate::jvm::Jvm;
use hotfork_abi::Plain;
use hotfork_abi::record::{
    CodeLayout, HeapLayout, JvmClock, KnownRange, PerfMemory, RANGE_CODE, RANGE_JAVA_HEAP, RANGE_METASPACE,
};
use vmstructs::VmStructs;

pub struct Facts {
    pub collector: &'static str,
    pub perf: PerfMemory,
    pub heap: HeapLayout,
    pub code: CodeLayout,
    pub clock: JvmClock,
    /// Address of `BYTES_CHANGED`; 0 where there is none, or no symbol table that names it.
    pub bytes_changed: u64,
    /// Address of `DEOPTIMIZATIONS`, or 0 as there.
    pub deoptimizations: u64,
    pub ranges: Vec<KnownRange>,
}

/// One line of /proc/self/maps.
pub struct Mapping {
    pub from: u64,
    pub to: u64,
    pub writable: bool,
    pub private: bool,
    pub path: String,
}

/// `NMethodSweeper::_bytes_changed`, a size_t: JDK 17's sweeper goes through all of the code cache when so much of it has changed. That was 6 ms
/// of CPU time and 26 MB of pages in each instance of an image that was taken right before. JDK 20 has dropped the sweeper.
const BYTES_CHANGED: &[u8] = b"_ZN14NMethodSweeper14_bytes_changedE";

/// `Deoptimization::_deoptimization_hist`, of whose numbers (juint) the first one counts all uncommon traps.
const DEOPTIMIZATIONS: &[u8] = b"_ZN14Deoptimization20_deoptimization_histE";

/// The versions whose layouts were tried.
const SUPPORTED: [&str; 3] = ["17", "21", "25"];

pub fn facts(jvm: &Jvm) -> Result<Facts, CaptureError> {
    let version = jvm.property("java.vm.specification.version");
    if !SUPPORTED.contains(&version.as_str()) {
        return Err(CaptureError::Jvm(format!("this JVM is Java {version}: Hotfork needs HotSpot 17, 21 or 25")));
    }
    let structs = VmStructs::open()
        .ok_or_else(|| CaptureError::Jvm("this JVM exports no vmStructs: Hotfork needs HotSpot 17, 21 or 25".into()))?;
    let collector = flags::collector(&structs)?;
    threads::locate(jvm, &structs)?;
    let maps = maps()?;
    let [last_deflation, bytes_changed, deoptimizations] =
        symbols::find(&maps, [clock::LAST_DEFLATION, BYTES_CHANGED, DEOPTIMIZATIONS]);
    Ok(Facts {
        collector,
        perf: perf::performance_memory(&structs, &maps),
        heap: heap::layout(&structs, collector),
        code: code_layout::layout(&structs, collector),
        clock: jvm_clock(&maps, last_deflation),
        bytes_changed: bytes_changed.unwrap_or(0),
        deoptimizations: deoptimizations.unwrap_or(0),
        ranges: ranges(&structs, &maps),
    })
}

fn jvm_clock(maps: &[Mapping], last_deflation: Option<u64>) -> JvmClock {
    match clock::look_up(maps) {
        Ok(clock) => JvmClock { last_deflation: last_deflation.unwrap_or(0), ..clock },
        Err(why) => {
            log::warn!("{why}: instances will see the host's clock");
            JvmClock::zeroed()
        }
    }
}

fn ranges(structs: &VmStructs, maps: &[Mapping]) -> Vec<KnownRange> {
    let mut ranges = Vec::new();
    let mut add = |kind, range: Option<(u64, u64)>| {
        if let Some((from, to)) = range.filter(|(from, to)| from < to) {
            ranges.push(KnownRange { address: from, length: to - from, kind, spare: 0 });
        }
    };
    add(RANGE_JAVA_HEAP, structs.java_heap());
    add(RANGE_CODE, structs.code_cache());
    for range in metaspace::ranges(structs, maps) {
        add(RANGE_METASPACE, Some(range));
    }
    ranges
}

pub fn maps() -> Result<Vec<Mapping>, CaptureError> {
    let text = std::fs::read_to_string("/proc/self/maps")
        .map_err(|error| CaptureError::System { what: "reading /proc/self/maps", reason: error.to_string() })?;
    Ok(text.lines().filter_map(parse_mapping).collect())
}

fn parse_mapping(line: &str) -> Option<Mapping> {
    let mut fields = line.split_ascii_whitespace();
    let (from, to) = fields.next()?.split_once('-')?;
    let permissions = fields.next()?.as_bytes();
    let path = fields.nth(3).and_then(|name| line.find(name).map(|at| line[at..].to_string())).unwrap_or_default();
    Some(Mapping {
        from: u64::from_str_radix(from, 16).ok()?,
        to: u64::from_str_radix(to, 16).ok()?,
        writable: permissions.get(1) == Some(&b'w'),
        private: permissions.get(3) == Some(&b'p'),
        path,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_are_read_with_spaces_in_paths() {
        let mapping = parse_mapping("7f00-7f10 rw-s 00000000 08:01 123    /tmp/a b").unwrap();
        assert_eq!((mapping.from, mapping.to, mapping.writable, mapping.private), (0x7f00, 0x7f10, true, false));
        assert_eq!(mapping.path, "/tmp/a b");
        assert_eq!(parse_mapping("7f00-7f10 rw-p 00000000 00:00 0 ").unwrap().path, "");
    }
}
