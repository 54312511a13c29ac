//! The helper's end of the conversation with a template (`hotfork_abi::template`).

use super::packets::{Packet, PacketError, Packets};
use crate::proc::{Process, status};
use hotfork_abi::template::{END, EQUAL_PAGES, PROTECT, RANGES, Range, Reply, Request, SCAN_PAGES, UP, Up, WRITE};
use hotfork_abi::{ABI_VERSION, PAGE, Plain};
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

/// A slow disk may take its time over one batch.
const REPLY: Duration = Duration::from_secs(300);
/// How often to look whether the template still lives.
const LOOK: Duration = Duration::from_millis(200);
const UP_WITHIN: Duration = Duration::from_secs(30);

#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    #[error(transparent)]
    Packet(#[from] PacketError),
    #[error("the template cannot {what} {length} bytes at {address:#x}: {error}")]
    Failed { what: &'static str, address: u64, length: u64, error: io::Error },
    #[error("the template speaks version {theirs} of the protocol, this helper {ABI_VERSION}: restart the JVM")]
    Version { theirs: u32 },
    #[error("the template (process {0}) was killed; is there enough memory?")]
    Died(i32),
    #[error("cannot read back what the template wrote: {0}")]
    Scratch(io::Error),
}

impl TemplateError {
    /// What the kernel said to the template, where it said something.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Failed { error, .. } => error.raw_os_error(),
            _ => None,
        }
    }
}

/// A template that has said `Up` and stands still.
pub struct Template {
    packets: Packets,
    process: Process,
    pub up: Up,
}

impl Template {
    /// Waits for the template's first packet. `told` is the pid that the agent named; `shared` says that it means the same
    /// process here.
    pub fn greet(packets: Packets, told: i32, shared: bool) -> Result<Self, TemplateError> {
        let packet = receive(&packets, UP_WITHIN, shared.then_some(Process(told)))?;
        let up: Up = packets.decode(&packet, UP)?;
        if up.abi_version != ABI_VERSION {
            return Err(TemplateError::Version { theirs: up.abi_version });
        }
        let process = Process(packet.sender.filter(|&pid| pid > 0).unwrap_or(told));
        Ok(Self { packets, process, up })
    }

    pub fn process(&self) -> Process {
        self.process
    }

    /// Has memory written to `file`; each range says where from and where to.
    pub fn write(&self, file: &OwnedFd, ranges: &[Range]) -> Result<(), TemplateError> {
        for batch in ranges.chunks(RANGES) {
            let mut request = request(WRITE, batch.len());
            request.ranges[..batch.len()].copy_from_slice(batch);
            self.ask("write", &request, &[file])?;
        }
        Ok(())
    }

    /// mprotect(2) in the template.
    pub fn protect(&self, address: u64, length: u64, protection: u32) -> Result<(), TemplateError> {
        let mut request = request(PROTECT, 1);
        request.protection = protection.into();
        request.ranges[0] = Range { address, length, offset: 0 };
        self.ask("make readable", &request, &[]).map(drop)
    }

    /// Pages of the range that hold one byte over and over, ascending: zeros, and any other.
    pub fn equal_pages(&self, address: u64, length: u64) -> Result<[Vec<u64>; 2], TemplateError> {
        let [mut zero, mut equal] = [Vec::new(), Vec::new()];
        let mut from = address;
        while from < address + length {
            let step = (address + length - from).min(SCAN_PAGES * PAGE);
            let mut request = request(EQUAL_PAGES, 1);
            request.ranges[0] = Range { address: from, length: step, offset: 0 };
            let reply = self.ask("read", &request, &[])?;
            for page in 0..step / PAGE {
                let is_in = |bits: &[u64]| bits[page as usize / 64] >> (page % 64) & 1 == 1;
                if is_in(&reply.zero) {
                    zero.push(from + page * PAGE);
                } else if is_in(&reply.equal) {
                    equal.push(from + page * PAGE);
                }
            }
            from += step;
        }
        Ok([zero, equal])
    }

    /// Memory of the template.
    pub fn read(&self, address: u64, length: u64) -> Result<Vec<u8>, TemplateError> {
        self.gather(&[address], length)
    }

    /// So many bytes at each of the addresses, one after the other, by way of a file in memory.
    pub fn gather(&self, addresses: &[u64], length: u64) -> Result<Vec<u8>, TemplateError> {
        let scratch =
            memfd_create(c"hotfork", MFdFlags::MFD_CLOEXEC).map_err(|errno| TemplateError::Scratch(errno.into()))?;
        let range = |(index, &address)| Range { address, length, offset: index as u64 * length };
        let ranges: Vec<_> = addresses.iter().enumerate().map(range).collect();
        self.write(&scratch, &ranges)?;
        let mut bytes = vec![0; addresses.len() * length as usize];
        File::from(scratch).read_exact_at(&mut bytes, 0).map_err(TemplateError::Scratch)?;
        Ok(bytes)
    }

    /// How much of the range, from its start and in whole pages, can be read at all: a file's mapping may be
    /// longer than the file.
    pub fn readable(&self, address: u64, length: u64) -> Result<u64, TemplateError> {
        let probe = |page: u64| match self.read(address + page * PAGE, PAGE) {
            Ok(_) => Ok(true),
            Err(error) if error.errno() == Some(libc::EFAULT) => Ok(false),
            Err(error) => Err(error),
        };
        let (mut good, mut bad) = (0, length / PAGE + 1);
        while bad - good > 1 {
            let middle = good + (bad - good) / 2;
            if probe(middle - 1)? { good = middle } else { bad = middle }
        }
        Ok(good * PAGE)
    }

    /// Lets the template go. It would also go when the socket closes.
    pub fn end(self) -> Result<(), TemplateError> {
        Ok(self.packets.send(&request(END, 0), &[])?)
    }

    fn ask(&self, what: &'static str, request: &Request, files: &[&OwnedFd]) -> Result<Box<Reply>, TemplateError> {
        self.packets.send(request, files)?;
        let packet = receive(&self.packets, REPLY, Some(self.process))?;
        let reply: Reply = self.packets.decode(&packet, request.kind)?;
        if reply.errno == 0 {
            return Ok(Box::new(reply));
        }
        let range = request.ranges[(reply.failed as usize).min(RANGES - 1)];
        let error = io::Error::from_raw_os_error(reply.errno);
        Err(TemplateError::Failed { what, address: range.address, length: range.length, error })
    }
}

/// The next packet, unless the template has ended: its socket does not tell, because the JVM holds it too.
fn receive(packets: &Packets, patience: Duration, process: Option<Process>) -> Result<Packet, TemplateError> {
    let start = Instant::now();
    loop {
        match packets.receive(LOOK) {
            Err(PacketError::TimedOut { .. }) if process.is_some_and(|process| !lives(process)) => {
                return Err(TemplateError::Died(process.map_or(0, |process| process.0)));
            }
            Err(PacketError::TimedOut { .. }) if start.elapsed() < patience => {}
            other => return Ok(other?),
        }
    }
}

fn lives(process: Process) -> bool {
    process.parse("status", status::parse).is_ok_and(|status| !matches!(status.state, 'Z' | 'X'))
}

fn request(kind: u32, count: usize) -> Request {
    let mut request = Request::zeroed();
    request.kind = kind;
    request.count = count as u32;
    request
}
