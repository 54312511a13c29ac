//! Descriptors, as they are made again.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

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
