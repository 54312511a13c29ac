//! A SOCK_SEQPACKET socket that carries `Plain` messages and descriptors, and never waits for ever.
//!
//! # Safety contract of this file
//! `unsafe` takes ownership of descriptor numbers that recvmsg(2) has just created in this process.
#![allow(unsafe_code)]

use hotfork_abi::Plain;
use nix::cmsg_space;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixCredentials, recvmsg,
    sendmsg, setsockopt, socketpair, sockopt,
};
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// Larger than any message of the protocol, so that a longer one of another version shows itself.
const PACKET: usize = 64 * 1024;
/// The kernel's SCM_MAX_FD.
const MAX_DESCRIPTORS: usize = 253;

#[derive(Debug, thiserror::Error)]
pub enum PacketError {
    #[error("{peer} closed the connection")]
    Closed { peer: &'static str },
    #[error("{peer} said nothing for {} s", waited.as_secs())]
    TimedOut { peer: &'static str, waited: Duration },
    #[error("{peer} sent a message that this version does not know (kind {kind}, {length} bytes)")]
    Unexpected { peer: &'static str, kind: u32, length: usize },
    #[error("cannot {what} {peer}: {errno}")]
    System { peer: &'static str, what: &'static str, errno: Errno },
}

/// One packet as it came.
pub struct Packet {
    pub bytes: Vec<u8>,
    pub descriptors: Vec<OwnedFd>,
    /// The sender's pid in this process's pid namespace, where [`Packets::identify_senders`] asked for it.
    pub sender: Option<i32>,
}

impl Packet {
    /// The first four bytes, 0 when there are fewer.
    pub fn kind(&self) -> u32 {
        u32::from_le_bytes(self.bytes.get(..4).and_then(|bytes| bytes.try_into().ok()).unwrap_or_default())
    }
}

pub struct Packets {
    socket: OwnedFd,
    peer: &'static str,
}

impl Packets {
    /// `peer` is the name of the other side in error messages.
    pub fn new(socket: OwnedFd, peer: &'static str) -> Self {
        Self { socket, peer }
    }

    /// Two connected ends: the own one, and the one to hand over.
    pub fn pair(peer: &'static str) -> Result<(Self, OwnedFd), PacketError> {
        let (own, other) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
            .map_err(|errno| PacketError::System { peer, what: "make a socket pair for", errno })?;
        Ok((Self::new(own, peer), other))
    }

    pub fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    /// Asks the kernel to name the sender of each packet.
    pub fn identify_senders(&self) -> Result<(), PacketError> {
        setsockopt(&self.socket, sockopt::PassCred, &true).map_err(|errno| PacketError::System {
            peer: self.peer,
            what: "ask for the credentials of",
            errno,
        })
    }

    pub fn send<M: Plain>(&self, message: &M, descriptors: &[&OwnedFd]) -> Result<(), PacketError> {
        self.wait(PollFlags::POLLOUT, Duration::from_secs(10), None)?;
        let numbers: Vec<i32> = descriptors.iter().map(|descriptor| descriptor.as_raw_fd()).collect();
        let rights = [ControlMessage::ScmRights(&numbers)];
        let control = if numbers.is_empty() { &[][..] } else { &rights[..] };
        let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
        let sent = sendmsg::<()>(self.socket.as_raw_fd(), &[IoSlice::new(message.as_bytes())], control, flags, None);
        match sent {
            Ok(_) => Ok(()),
            Err(Errno::EPIPE | Errno::ECONNRESET) => Err(PacketError::Closed { peer: self.peer }),
            Err(errno) => Err(PacketError::System { peer: self.peer, what: "send to", errno }),
        }
    }

    pub fn receive(&self, timeout: Duration) -> Result<Packet, PacketError> {
        self.wait(PollFlags::POLLIN, timeout, None)?;
        self.take()
    }

    /// As `receive`; `None` once `interrupt` can be read.
    pub fn receive_unless(
        &self,
        interrupt: Option<BorrowedFd<'_>>,
        timeout: Duration,
    ) -> Result<Option<Packet>, PacketError> {
        if self.wait(PollFlags::POLLIN, timeout, interrupt)? { self.take().map(Some) } else { Ok(None) }
    }

    /// A packet that has come.
    fn take(&self) -> Result<Packet, PacketError> {
        let mut bytes = vec![0; PACKET];
        let mut control = cmsg_space!([i32; MAX_DESCRIPTORS], UnixCredentials);
        let mut vector = [IoSliceMut::new(&mut bytes)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC | MsgFlags::MSG_DONTWAIT;
        let fail = |errno| match errno {
            Errno::ECONNRESET => PacketError::Closed { peer: self.peer },
            errno => PacketError::System { peer: self.peer, what: "receive from", errno },
        };
        let message = recvmsg::<()>(self.socket.as_raw_fd(), &mut vector, Some(&mut control), flags).map_err(fail)?;
        let (mut descriptors, mut sender) = (Vec::new(), None);
        for part in message.cmsgs().map_err(fail)? {
            match part {
                // SAFETY: MSG_CMSG_CLOEXEC recvmsg just made these numbers in this process, and nothing else has
                // seen them: they are ours alone to close.
                ControlMessageOwned::ScmRights(numbers) => {
                    descriptors.extend(numbers.into_iter().map(|number| unsafe { OwnedFd::from_raw_fd(number) }))
                }
                ControlMessageOwned::ScmCredentials(credentials) => sender = Some(credentials.pid()),
                _ => {}
            }
        }
        let length = message.bytes;
        if length == 0 {
            return Err(PacketError::Closed { peer: self.peer });
        }
        bytes.truncate(length);
        Ok(Packet { bytes, descriptors, sender })
    }

    /// Reads `packet` as an `M`, if it says `kind` and is as long as an `M`.
    pub fn decode<M: Plain>(&self, packet: &Packet, kind: u32) -> Result<M, PacketError> {
        let message =
            if packet.kind() == kind && packet.bytes.len() == size_of::<M>() { M::read(&packet.bytes) } else { None };
        message.ok_or(PacketError::Unexpected { peer: self.peer, kind: packet.kind(), length: packet.bytes.len() })
    }

    /// False where `interrupt` can be read.
    fn wait(
        &self,
        events: PollFlags,
        timeout: Duration,
        interrupt: Option<BorrowedFd<'_>>,
    ) -> Result<bool, PacketError> {
        let own = PollFd::new(self.socket.as_fd(), events);
        let other = interrupt.map(|interrupt| PollFd::new(interrupt, PollFlags::POLLIN));
        let mut polled: Vec<PollFd> = std::iter::once(own).chain(other).collect();
        let end = Instant::now() + timeout;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let milliseconds = PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
            match poll(&mut polled, milliseconds) {
                Ok(0) => return Err(PacketError::TimedOut { peer: self.peer, waited: timeout }),
                Ok(_) => return Ok(polled.get(1).is_none_or(|other| other.any() == Some(false))),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(PacketError::System { peer: self.peer, what: "wait for", errno }),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hotfork_abi::capture::{READY, Signal};
    use std::fs::File;
    use std::io::Read;

    fn ends() -> (Packets, Packets) {
        let (own, other) = Packets::pair("the peer").unwrap();
        (own, Packets::new(other, "the other"))
    }

    #[test]
    fn messages_and_descriptors_arrive() {
        let (own, other) = ends();
        own.identify_senders().unwrap();
        let file: OwnedFd = File::open("/proc/self/comm").unwrap().into();
        other.send(&Signal { kind: READY, spare: 5 }, &[&file]).unwrap();
        let mut packet = own.receive(Duration::from_secs(5)).unwrap();
        assert_eq!(own.decode::<Signal>(&packet, READY).unwrap().spare, 5);
        assert_eq!(packet.sender, Some(std::process::id() as i32));
        let mut text = String::new();
        File::from(packet.descriptors.remove(0)).read_to_string(&mut text).unwrap();
        assert!(!text.is_empty());
    }

    #[test]
    fn silence_ends() {
        let (own, _other) = ends();
        let error = own.receive(Duration::from_millis(1)).err().unwrap();
        assert_eq!(error.to_string(), "the peer said nothing for 0 s");
    }

    #[test]
    fn an_interrupt_comes_before_a_packet() {
        let (own, other) = ends();
        let (interrupt, mut writer) = std::io::pipe().unwrap();
        other.send(&Signal { kind: READY, spare: 0 }, &[]).unwrap();
        let receive = || own.receive_unless(Some(interrupt.as_fd()), Duration::from_secs(5)).unwrap();
        assert!(receive().is_some());
        other.send(&Signal { kind: READY, spare: 0 }, &[]).unwrap();
        std::io::Write::write_all(&mut writer, b"x").unwrap();
        assert!(receive().is_none());
    }

    #[test]
    fn a_closed_end_is_told() {
        let (own, other) = ends();
        drop(other);
        assert_eq!(own.receive(Duration::from_secs(5)).err().unwrap().to_string(), "the peer closed the connection");
        let error = own.send(&Signal { kind: READY, spare: 0 }, &[]).unwrap_err();
        assert_eq!(error.to_string(), "the peer closed the connection");
    }

    #[test]
    fn another_message_is_refused() {
        let (own, other) = ends();
        other.send(&Signal { kind: 77, spare: 0 }, &[]).unwrap();
        let packet = own.receive(Duration::from_secs(5)).unwrap();
        let error = own.decode::<Signal>(&packet, READY).err().unwrap();
        assert_eq!(error.to_string(), "the peer sent a message that this version does not know (kind 77, 8 bytes)");
    }
}
