//! Packets with descriptors, by raw system calls.
//!
//! # Safety contract of this file
//! The kernel structures built here (`msghdr`, `iovec`, `cmsghdr`) live on the stack for the length of one
//! call and point at slices of the caller.
#![allow(unsafe_code)]

use crate::Errno;
use crate::syscall::call;
use hotfork_abi::capture::DESCRIPTORS_PER_MESSAGE;
use linux_raw_sys::general as nr;

const SOL_SOCKET: u32 = 1;
const SCM_RIGHTS: u32 = 1;
const MSG_CMSG_CLOEXEC: u64 = 0x4000_0000;
const MSG_NOSIGNAL: u64 = 0x4000;
const POLLIN: i16 = 1;
const ETIMEDOUT: i32 = 110;
const ECONNRESET: i32 = 104;

/// `struct msghdr` of x86-64 and other 64-bit kernels.
#[repr(C)]
struct MessageHeader {
    name: u64,
    name_length: u64,
    vectors: u64,
    vector_count: u64,
    control: u64,
    control_length: u64,
    flags: u64,
}

/// `struct cmsghdr`, followed by the descriptors.
#[repr(C, align(8))]
struct Control<const N: usize> {
    length: u64,
    level: u32,
    kind: u32,
    descriptors: [i32; N],
}

impl<const N: usize> Control<N> {
    const fn empty() -> Self {
        Self { length: 16, level: SOL_SOCKET, kind: SCM_RIGHTS, descriptors: [-1; N] }
    }
}

/// Sends one packet with `descriptors` attached (none: no control message).
pub fn send(socket: i32, bytes: &[u8], descriptors: &[i32]) -> Result<(), Errno> {
    let mut control = Control::<DESCRIPTORS_PER_MESSAGE>::empty();
    for (place, &number) in control.descriptors.iter_mut().zip(descriptors) {
        *place = number;
    }
    control.length = 16 + 4 * descriptors.len() as u64;
    let vector = [bytes.as_ptr() as u64, bytes.len() as u64];
    let header = MessageHeader {
        name: 0,
        name_length: 0,
        vectors: vector.as_ptr() as u64,
        vector_count: 1,
        control: if descriptors.is_empty() { 0 } else { &raw const control as u64 },
        control_length: if descriptors.is_empty() { 0 } else { control.length.next_multiple_of(8) },
        flags: 0,
    };
    // SAFETY: header, vector and control live until the call returns and describe the slices' memory.
    unsafe { call(nr::__NR_sendmsg, [socket as u64, &raw const header as u64, MSG_NOSIGNAL, 0, 0, 0]) }.map(|_| ())
}

pub struct Received {
    pub length: usize,
    /// The one descriptor that came along, if one did.
    pub descriptor: Option<i32>,
}

/// Receives one packet, waiting at most `nanoseconds` (for ever without). An end of the stream is ECONNRESET.
pub fn receive(socket: i32, buffer: &mut [u8], nanoseconds: Option<u64>) -> Result<Received, Errno> {
    if let Some(nanoseconds) = nanoseconds {
        wait_readable(socket, nanoseconds)?;
    }
    let mut control = Control::<1>::empty();
    let vector = [buffer.as_mut_ptr() as u64, buffer.len() as u64];
    let mut header = MessageHeader {
        name: 0,
        name_length: 0,
        vectors: vector.as_ptr() as u64,
        vector_count: 1,
        control: &raw mut control as u64,
        control_length: size_of::<Control<1>>() as u64,
        flags: 0,
    };
    // SAFETY: as in `send`; the kernel writes into the buffer's slice, the control block and the header.
    let length = unsafe { call(nr::__NR_recvmsg, [socket as u64, &raw mut header as u64, MSG_CMSG_CLOEXEC, 0, 0, 0]) }?;
    if length == 0 {
        return Err(Errno(ECONNRESET));
    }
    let got_one = header.control_length >= 20 && control.level == SOL_SOCKET && control.kind == SCM_RIGHTS;
    Ok(Received { length: length as usize, descriptor: if got_one { Some(control.descriptors[0]) } else { None } })
}

fn wait_readable(socket: i32, nanoseconds: u64) -> Result<(), Errno> {
    #[repr(C)]
    struct PollFd {
        fd: i32,
        events: i16,
        returned: i16,
    }
    let mut poll = PollFd { fd: socket, events: POLLIN, returned: 0 };
    let mut timeout = [nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000];
    // SAFETY: one pollfd and one timespec, both live until the call returns.
    let ready = unsafe { call(nr::__NR_ppoll, [&raw mut poll as u64, 1, timeout.as_mut_ptr() as u64, 0, 8, 0]) }?;
    if ready == 0 { Err(Errno(ETIMEDOUT)) } else { Ok(()) }
}
