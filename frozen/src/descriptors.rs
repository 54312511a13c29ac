//! Handing the JVM's descriptors to the helper while every thread stands still.
//!
//! Template and JVM share open file descriptions, so what is read after the thaw is the JVM's later
//! life. The helper gets every descriptor itself, by SCM_RIGHTS, and answers when it has written down all.
//!
//! # Safety contract of this file
//! Runs in the capturing thread, frozen. Message and control buffers are statics that only the
//! capturing thread uses, one capture at a time.
#![allow(unsafe_code)]

use crate::Errno;
use crate::freeze::Frozen;
use crate::socket::{Received, receive, send};
use crate::syscall::{getdents64, lseek, monotonic};
use core::cell::UnsafeCell;
use hotfork_abi::Plain;
use hotfork_abi::capture::{DESCRIPTORS, DESCRIPTORS_PER_MESSAGE, Descriptors, RECORDED, REFUSED, Refused};
use linux_raw_sys::general as nr;

struct Message(UnsafeCell<Descriptors>);
// SAFETY: used by the capturing thread only.
unsafe impl Sync for Message {}
static MESSAGE: Message = Message(UnsafeCell::new(Descriptors {
    kind: DESCRIPTORS,
    last: 0,
    count: 0,
    numbers: [0; DESCRIPTORS_PER_MESSAGE],
}));

struct Answer(UnsafeCell<[u8; size_of::<Refused>()]>);
// SAFETY: as for `Message`.
unsafe impl Sync for Answer {}
static ANSWER: Answer = Answer(UnsafeCell::new([0; size_of::<Refused>()]));

#[derive(Clone, Copy)]
pub enum HandError {
    /// /proc/self/fd could not be read.
    List(Errno),
    /// Sending failed; some kinds (io_uring) cannot be sent at all.
    Send { number: i32, errno: Errno },
    /// The helper is gone, or has not answered before the deadline.
    Helper(Errno),
    /// The helper refuses: its own words.
    Refused(Refused),
}

pub struct Request<'a> {
    /// Socket to the helper.
    pub socket: i32,
    /// Descriptor of /proc/self/fd.
    pub list: i32,
    /// Descriptors that are the agent's own, not the application's.
    pub own: &'a [i32],
    pub directory: &'a mut [u8],
    pub deadline: u64,
}

/// All descriptors are on their way; the helper has not yet said that it has written them down.
#[must_use = "the JVM may run again only when the helper has written down its descriptors"]
pub struct HandedOver {
    socket: i32,
    deadline: u64,
}

/// Sends all descriptors. The helper writes them down while the template is forked.
pub fn hand_over(_frozen: &Frozen, request: &mut Request<'_>) -> Result<HandedOver, HandError> {
    // SAFETY: only the capturing thread uses the message.
    let message = unsafe { &mut *MESSAGE.0.get() };
    message.count = 0;
    message.last = 0;
    lseek(request.list, 0, nr::SEEK_SET).map_err(HandError::List)?;
    loop {
        let filled = getdents64(request.list, request.directory).map_err(HandError::List)? as usize;
        if filled == 0 {
            break;
        }
        let mut at = 0;
        while at < filled {
            let Some((number, length)) = entry(request.directory, at) else { break };
            at += length;
            let Some(number) = number else { continue };
            if request.own.contains(&number) {
                continue;
            }
            if message.count as usize == DESCRIPTORS_PER_MESSAGE {
                flush(request.socket, message)?;
            }
            if let Some(place) = message.numbers.get_mut(message.count as usize) {
                *place = number;
                message.count += 1;
            }
        }
    }
    message.last = 1;
    flush(request.socket, message)?;
    Ok(HandedOver { socket: request.socket, deadline: request.deadline })
}

fn flush(socket: i32, message: &mut Descriptors) -> Result<(), HandError> {
    let numbers = message.numbers.get(..message.count as usize).unwrap_or(&[]);
    send(socket, message.as_bytes(), numbers)
        .map_err(|errno| HandError::Send { number: numbers.first().copied().unwrap_or(-1), errno })?;
    message.count = 0;
    Ok(())
}

impl HandedOver {
    /// Waits for the helper's word.
    pub(crate) fn await_recorded(self) -> Result<(), HandError> {
        // SAFETY: only the capturing thread uses the answer.
        let answer = unsafe { &mut *ANSWER.0.get() };
        let left = self.deadline.saturating_sub(monotonic());
        let Received { length, .. } = receive(self.socket, answer, Some(left)).map_err(HandError::Helper)?;
        let kind = answer.first_chunk::<4>().map(|bytes| u32::from_le_bytes(*bytes));
        match kind {
            Some(RECORDED) => Ok(()),
            Some(REFUSED) if length == size_of::<Refused>() => match Refused::read(answer) {
                Some(refused) => Err(HandError::Refused(refused)),
                None => Err(HandError::Helper(Errno(0))),
            },
            _ => Err(HandError::Helper(Errno(0))),
        }
    }
}

/// `(number, record length)` of the `linux_dirent64` at `at`.
pub(crate) fn entry(directory: &[u8], at: usize) -> Option<(Option<i32>, usize)> {
    let record = directory.get(at..)?;
    let length = u16::from_le_bytes([*record.get(16)?, *record.get(17)?]) as usize;
    let name = record.get(19..length)?;
    let mut number = 0i32;
    for (position, &byte) in name.iter().enumerate() {
        match byte {
            0 => return Some(((position != 0).then_some(number), length)),
            b'0'..=b'9' => number = number.wrapping_mul(10).wrapping_add((byte - b'0').into()),
            _ => return Some((None, length)),
        }
    }
    None
}
