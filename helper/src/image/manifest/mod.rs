//! What an image says about itself besides its pages: what a restore compares with the host,
//! what it rebuilds, and what `inspect` shows.

use hotfork_abi::clock::Clocks;
use hotfork_abi::warm;
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

/// What a trial's instance showed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Trial {
    /// From the first byte sent to the last one received.
    pub first_request_ns: u64,
    /// The median of what followed.
    pub later_request_ns: u64,
    /// Pages written before anything was asked for: a restore brings them in ahead.
    pub pages_before: u64,
    /// Pages written by the first answer besides: they are brought in when an instance has run for a while.
    pub pages_by_first_answer: u64,
    /// Page faults by then.
    pub faults: u64,
    /// CPU time by then, in nanoseconds.
    pub threads: Vec<(String, u64)>,
    /// CPU time of the compilers by the end of all requests, in nanoseconds.
    pub compiling_ns: u64,
    /// Every instance would compile that much anew.
    pub poor: bool,
}

/// A warm JVM's compilers use nothing in a trial, or a method's worth; what is beyond that steals an instance's first requests.
const COMPILING_AT_MOST: u64 = 5_000_000;

impl Trial {
    pub fn is_poor(compiling_ns: u64) -> bool {
        compiling_ns > COMPILING_AT_MOST
    }

    /// By which two images of one JVM are compared.
    pub fn cost(&self) -> u64 {
        self.first_request_ns + self.compiling_ns
    }

    /// In words.
    pub fn line(&self) -> String {
        let milliseconds = |ns: u64| ns as f64 / 1e6;
        let busiest: Vec<String> =
            self.threads.iter().take(5).map(|(name, cpu)| format!("{name} {:.1} ms", milliseconds(*cpu))).collect();
        format!(
            "first request {:.1} ms, later ones {:.1} ms; {} pages written before it and brought in ahead, {} by it and \
             brought in soon after; {} faults; CPU: {}; compilers by the last request {:.1} ms{}",
            milliseconds(self.first_request_ns),
            milliseconds(self.later_request_ns),
            self.pages_before,
            self.pages_by_first_answer,
            self.faults,
            busiest.join(", "),
            milliseconds(self.compiling_ns),
            if self.poor { ": poor" } else { "" }
        )
    }
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

/// The work that a verdict stands on (`hotfork_abi::warm::Evidence`).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Evidence {
    /// Else the deadline came first.
    pub warm: bool,
    /// CLOCK_MONOTONIC when it was judged, 0 in what `watch` shows.
    pub judged_ns: u64,
    pub age_ns: u64,
    pub application_cpu_ns: u64,
    pub window_ns: u64,
    pub window_application_cpu_ns: u64,
    pub window_jit_cpu_ns: u64,
    /// The longest queue in the window; null where libjvm has no symbol table.
    pub compile_queue: Option<u32>,
    pub classes: u64,
    pub new_classes: u64,
    /// Methods compiled for good.
    pub hot_methods: u32,
    pub new_hot_methods: u32,
    /// Samples in code that is compiled for good, and in other Java code.
    pub hot_samples: u32,
    pub cold_samples: u32,
}

impl Evidence {
    pub fn read(seen: &warm::Evidence) -> Option<Self> {
        (seen.verdict != warm::NOT_JUDGED).then(|| Self {
            warm: seen.verdict == warm::WARM,
            judged_ns: seen.judged,
            age_ns: seen.age,
            application_cpu_ns: seen.app_cpu_total,
            window_ns: seen.window,
            window_application_cpu_ns: seen.app_cpu,
            window_jit_cpu_ns: seen.jit_cpu,
            compile_queue: Some(seen.queue).filter(|&queue| queue != warm::QUEUE_UNKNOWN),
            classes: seen.classes,
            new_classes: seen.new_classes,
            hot_methods: seen.hot_methods,
            new_hot_methods: seen.new_hot_methods,
            hot_samples: seen.hot,
            cold_samples: seen.cold,
        })
    }

    /// In words.
    pub fn line(&self) -> String {
        let seconds = |ns: u64| ns as f64 / 1e9;
        let queue = self.compile_queue.map_or("unknown".into(), |queue| queue.to_string());
        format!(
            "{} after {:.1} s and {:.1} s of work: in the last {:.1} s ({:.1} s of work) {} of {} samples in cold code, \
             compile queue {queue}, JIT {:.2} s, {} of {} compiled methods new, {} of {} classes new",
            if self.warm { "warm" } else { "not proven warm" },
            seconds(self.age_ns),
            seconds(self.application_cpu_ns),
            seconds(self.window_ns),
            seconds(self.window_application_cpu_ns),
            self.cold_samples,
            self.hot_samples + self.cold_samples,
            seconds(self.window_jit_cpu_ns),
            self.new_hot_methods,
            self.hot_methods,
            self.new_classes,
            self.classes,
        )
    }
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
    /// Present in the JVM, free Java heap or below a stack pointer, not in the image.
    pub dead: u64,
}

/// What the restorer and the instance need besides the operations.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry {
    pub record: u64,
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

/// The descriptor table of the captured JVM: numbers, and the open file descriptions they share.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Descriptors {
    pub numbers: Vec<Number>,
    pub descriptions: Vec<Description>,
    pub pipes: Vec<Pipe>,
    /// Contents of carried files; several descriptions of one file share one.
    pub contents: Vec<CarriedContent>,
}

impl Descriptors {
    /// What an instance appends to files goes to /dev/null: other ways of writing to a file are not carried.
    pub fn discard_writes(&mut self) {
        for description in &mut self.descriptions {
            if matches!(description.kind, Kind::Regular { .. }) && description.flags & libc::O_APPEND != 0 {
                description.kind = Kind::Device { path: "/dev/null".into() };
            }
        }
    }
}

/// Where in the image file the contents of a carried file lie.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CarriedContent {
    pub offset: u64,
    pub length: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Number {
    pub fd: i32,
    /// Index into `Descriptors::descriptions`.
    pub description: u32,
    pub close_on_exec: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Access mode and status flags of open(2), as fcntl F_GETFL gives them.
    pub flags: i32,
    pub kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Descriptor 0, 1 or 2, or a number that shares its description with `number`: the restorer's own
    /// takes its place.
    Standard {
        number: i32,
    },
    Regular {
        path: PathBuf,
        offset: u64,
        size: u64,
        mtime: i64,
    },
    /// Deleted, or below the temporary directory: its contents are in the image's pages section
    /// (`content` is an index into `Descriptors::contents`).
    Carried {
        path: PathBuf,
        offset: u64,
        content: u32,
    },
    Directory {
        path: PathBuf,
        offset: u64,
    },
    Device {
        path: PathBuf,
    },
    PipeEnd {
        pipe: u32,
        write: bool,
    },
    EventFd {
        count: u64,
        semaphore: bool,
    },
    TimerFd {
        clock: i32,
        ticks: u64,
        settime_flags: i32,
        value: (i64, i64),
        interval: (i64, i64),
    },
    Epoll {
        entries: Vec<EpollEntry>,
    },
    TcpListener {
        address: String,
        v6only: bool,
        options: SocketOptions,
        backlog: i32,
    },
    UnixListener {
        address: Vec<u8>,
        socket_type: i32,
        backlog: i32,
    },
    /// A connected socket: comes back as a fresh socket that is shut down both ways.
    DeadSocket {
        family: i32,
        socket_type: i32,
        protocol: i32,
        options: SocketOptions,
    },
    /// One end of a Unix stream pair whose other end is gone.
    DeadPair {
        socket_type: i32,
    },
    /// A TCP socket that is neither connected nor listening.
    FreshSocket {
        family: i32,
        socket_type: i32,
        protocol: i32,
        bound: Option<String>,
        v6only: bool,
        options: SocketOptions,
    },
    /// HotSpot's attach listener: an unbound Unix socket makes it end and start anew under the new pid.
    AttachListener,
    /// HotSpot's hsperfdata file, held open for its lock by newer JDKs.
    PerfData,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpollEntry {
    pub fd: i32,
    pub events: u32,
    pub data: u64,
}

/// Socket options as (level, name, value) of getsockopt(2), 4-byte values (8 for SO_LINGER).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketOptions {
    pub values: Vec<(i32, i32, Vec<u8>)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pipe {
    pub capacity: i32,
    /// Bytes that were written and not yet read.
    pub contents: Vec<u8>,
    /// The captured JVM held a read end; likewise the write end. A missing one stays closed.
    pub has_reader: bool,
    pub has_writer: bool,
}
