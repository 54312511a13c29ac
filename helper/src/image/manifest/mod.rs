//! What an image says about itself besides its pages: what a restore compares with the host,
//! what it rebuilds, and what `inspect` shows.

mod descriptors;
mod evidence;
mod trial;

pub use descriptors::{CarriedContent, Description, Descriptors, EpollEntry, Kind, Number, Pipe, SocketOptions};
pub use evidence::Evidence;
pub use trial::Trial;

use hotfork_abi::clock::Clocks;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Manifest {
    pub hotfork_version: String,
    pub identity: CommandIdentity,
    pub jdk: Jdk,
    pub cpu: Cpu,
    pub taken: Taken,
    pub threads: Vec<Thread>,
    /// Files behind mappings; index in the map operations is the position here plus one.
    pub files: Vec<MappedFile>,
    pub descriptors: Descriptors,
    pub cwd: PathBuf,
    pub entry: Entry,
    pub pages: Vec<PagesOfKind>,
    pub mapping_count: u32,
    /// Size of the address space that is writable and private, for limits and overcommit.
    pub private_writable: u64,
    pub total_mapped: u64,
    /// -Xmx or its default, in bytes, 0 when unknown.
    pub max_heap: u64,
    /// How a first instance did, where a trial was asked for; else why there was none.
    pub trial: Option<Result<Trial, String>>,
}

/// What makes two java commands the same command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandIdentity {
    /// Canonical path of the java launcher, and its build-id.
    pub java: PathBuf,
    pub java_build_id: String,
    /// In order, @files expanded, Hotfork's own -agentpath removed; without the launcher itself.
    pub arguments: Vec<String>,
    /// JAVA_TOOL_OPTIONS, JDK_JAVA_OPTIONS, CLASSPATH, as far as set.
    pub environment: Vec<(String, String)>,
    pub cwd: PathBuf,
    pub class_path: Vec<ClassPathEntry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClassPathEntry {
    Jar { path: PathBuf, size: u64, mtime: i64, digest: [u8; 32] },
    Directory { path: PathBuf, files: u64, newest_mtime: i64 },
    Missing { path: PathBuf },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Jdk {
    pub home: String,
    pub vm_name: String,
    pub vm_version: String,
    pub vm_vendor: String,
    pub collector: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cpu {
    pub vendor: String,
    pub model: String,
    /// (leaf, subleaf, [eax, ebx, ecx, edx]) of the feature leaves that HotSpot and glibc look at.
    pub leaves: Vec<(u32, u32, [u32; 4])>,
    pub xcr0: u64,
    /// Size of the whole XSAVE area for XCR0.
    pub xsave_size: u32,
    /// (component, offset, size) of each XSAVE component enabled in XCR0.
    pub xsave_components: Vec<(u32, u32, u32)>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Taken {
    pub host: String,
    pub kernel: String,
    pub pid: i32,
    pub uid: u32,
    pub clocks: ClockValues,
    /// /proc/sys/kernel/random/boot_id: within one boot a restore does not ask about the CPU again.
    pub boot_id: String,
    /// How long application threads stood still, in nanoseconds.
    pub stopped: u64,
    /// Why it was taken then, in words.
    pub occasion: String,
    /// What was done before to bring the JVM to rest, in words.
    pub rest: String,
    /// What the warm-up detector saw, where it was asked.
    pub evidence: Option<Evidence>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ClockValues {
    pub monotonic: u64,
    pub boottime: u64,
    pub realtime: u64,
}

impl From<Clocks> for ClockValues {
    fn from(clocks: Clocks) -> Self {
        Self { monotonic: clocks.monotonic, boottime: clocks.boottime, realtime: clocks.realtime }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Thread {
    pub tid: i32,
    pub name: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MappedFile {
    pub path: PathBuf,
    pub size: u64,
    /// Whole seconds: layers drop the rest.
    pub mtime: i64,
    /// GNU build-id in hexadecimal, empty when there is none.
    pub build_id: String,
    /// BLAKE3 of the file where there is no build-id.
    pub digest: Option<[u8; 32]>,
}

/// Pages of one kind, for `inspect`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PagesOfKind {
    /// "java heap", "metaspace", "code", "native", "stacks", "files"
    pub kind: String,
    pub in_image: u64,
    /// Present in the JVM, all zero, not in the image.
    pub zero: u64,
    /// Present in the JVM, one byte over and over, mapped from pages that hold the same byte.
    pub repeated: u64,
    /// Present in the JVM, free Java heap or below a stack pointer, not in the image.
    pub dead: u64,
}

/// What the restorer and the instance need besides the operations.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry {
    pub record: u64,
    pub instance_prepare: u64,
    pub instance_others: u64,
    pub instance_entry: u64,
    pub entry_stack: u64,
    pub curbrk: u64,
    pub vdso: Vec<VdsoSymbol>,
    pub memory_map: MemoryMapFields,
    /// hsperfdata: address and length of the mapping, and room for its file name; 0 when there is none.
    pub perf_address: u64,
    pub perf_length: u64,
    pub perf_name_capacity: u64,
    /// Index of the operation that maps the performance memory privately.
    pub perf_operation: Option<u64>,
    /// Directory and name of the captured JVM's hsperfdata file.
    pub perf_file: Option<PathBuf>,
    pub leader_tid: i32,
    /// HotSpot's monotonic clock goes on from where it was, else it shows the host's.
    pub clock_goes_on: bool,
}

/// An entry point of the image's vdso, at its address in the image.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VdsoSymbol {
    pub name: String,
    pub address: u64,
}

/// Fields 26 and on of /proc/PID/stat, and the auxiliary vector, for PR_SET_MM_MAP.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct MemoryMapFields {
    pub start_code: u64,
    pub end_code: u64,
    pub start_data: u64,
    pub end_data: u64,
    pub start_brk: u64,
    pub brk: u64,
    pub start_stack: u64,
    pub arg_start: u64,
    pub arg_end: u64,
    pub env_start: u64,
    pub env_end: u64,
    pub auxv: Vec<u8>,
}
