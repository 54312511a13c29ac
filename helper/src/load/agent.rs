//! The driver's side of the conversation with the agent (see `hotfork_abi::load`).

use hotfork_abi::load::{END, LINE_AT_MOST, PAUSE, PAUSED, RESUME};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, recv, send};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

pub struct Agent(OwnedFd);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    Pause,
    Resume,
    End,
}

impl Agent {
    pub fn new(socket: OwnedFd) -> Self {
        Self(socket)
    }

    /// What the agent says within this time. A JVM that is gone says that it ends.
    pub fn hears(&self, patience: Duration) -> Option<Word> {
        let mut polled = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        let patience = PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX);
        match poll(&mut polled, patience) {
            Ok(0) | Err(Errno::EINTR) => return None,
            Ok(_) => {}
            Err(_) => return Some(Word::End),
        }
        let mut bytes = [0; 16];
        match recv(self.0.as_raw_fd(), &mut bytes, MsgFlags::MSG_DONTWAIT) {
            Err(Errno::EINTR | Errno::EAGAIN) => None,
            Ok(length) => match &bytes[..length] {
                PAUSE => Some(Word::Pause),
                RESUME => Some(Word::Resume),
                _ => Some(Word::End),
            },
            Err(_) => Some(Word::End),
        }
    }

    pub fn has_paused(&self) {
        self.send(PAUSED);
    }

    /// A line for the user.
    pub fn tell(&self, line: &str) {
        let mut end = line.len().min(LINE_AT_MOST);
        while !line.is_char_boundary(end) {
            end -= 1;
        }
        self.send(&line.as_bytes()[..end]);
    }

    fn send(&self, bytes: &[u8]) {
        if let Err(errno) = send(self.0.as_raw_fd(), bytes, MsgFlags::MSG_NOSIGNAL) {
            // Whoever would be told is gone; the next look at the socket says so.
            log::debug!("the agent does not hear: {errno}");
        }
    }
}

const _: () = assert!(END.len() <= 16 && RESUME.len() <= 16);

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

    #[test]
    fn words_come_one_by_one_and_the_end_is_one() {
        let (own, other) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).unwrap();
        let agent = Agent::new(other);
        assert_eq!(agent.hears(Duration::ZERO), None);
        for word in [PAUSE, RESUME, END] {
            send(own.as_raw_fd(), word, MsgFlags::empty()).unwrap();
        }
        let heard = [(); 3].map(|()| agent.hears(Duration::from_secs(9)));
        assert_eq!(heard, [Some(Word::Pause), Some(Word::Resume), Some(Word::End)]);
        // The limit falls into the middle of a letter.
        agent.tell(&format!("x{}", "\u{e9}".repeat(LINE_AT_MOST)));
        let mut line = vec![0; 2 * LINE_AT_MOST];
        let length = recv(own.as_raw_fd(), &mut line, MsgFlags::empty()).unwrap();
        assert_eq!(String::from_utf8(line[..length].to_vec()).unwrap().len(), LINE_AT_MOST - 1);
        drop(own);
        assert_eq!(agent.hears(Duration::from_secs(9)), Some(Word::End));
    }
}
