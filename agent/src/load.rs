//! The training load (`load=`): a helper process drives it, from the JVM's start until the image is taken. Here it is
//! started, paused for each capture and ended, and what it has to say is told.
//!
//! An instance has none: the socket is no part of its descriptors, and the thread that listens here sleeps there for ever.

use crate::capture::{Adopted, CaptureError, Helper, helper_path, start_helper};
use crate::jvm::Jvm;
use crate::options::Options;
use crate::report;
use hotfork_abi::load::{END, LINE_AT_MOST, PAUSE, PAUSED, RESUME};
use hotfork_frozen::instance::epoch;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, recv, send};
use std::mem::forget;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The driver waits for answers to requests for a second.
const PAUSES_WITHIN: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Runs,
    Pausing,
    Paused,
    Ends,
    /// The driver has ended in a capture.
    Ended,
}

struct Load {
    socket: Arc<OwnedFd>,
    state: State,
    /// The instance that it was started in.
    born: u32,
    /// A capture is under way, which has noted the socket's number as the agent's own: until its end the socket stays open,
    /// or the application would open something under this number that the image lacks.
    noted: bool,
}

static LOAD: Mutex<Option<Load>> = Mutex::new(None);
static CHANGED: Condvar = Condvar::new();

fn lock() -> MutexGuard<'static, Option<Load>> {
    LOAD.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Load {
    /// A driver that does not hear has ended, which the listening thread tells.
    fn say(&mut self, word: &[u8], state: State) {
        self.state = state;
        if let Err(errno) = send(self.socket.as_raw_fd(), word, MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT) {
            log::debug!("the load's driver does not hear {:?}: {errno}", String::from_utf8_lossy(word));
        }
    }
}

/// Starts the process that waits until the application listens, and then drives the load.
pub fn start(jvm: &Jvm, options: &Options) -> Result<(), CaptureError> {
    if options.load.is_empty() {
        return Ok(());
    }
    let pid = std::process::id().to_string();
    let port = options.load_port.map(|port| port.to_string());
    let mut arguments = vec!["drive-load", "--pid", &pid];
    if let Some(port) = &port {
        arguments.extend(["--port", port]);
    }
    arguments.push("--");
    arguments.extend(options.load.iter().map(String::as_str));
    let Helper { socket, adopted } = start_helper(&helper_path(options)?, &arguments)?;
    let (socket, born) = (Arc::new(socket), epoch());
    let listened = Arc::clone(&socket);
    *lock() = Some(Load { socket, state: State::Runs, born, noted: false });
    jvm.spawn("Hotfork load", Box::new(move |_| listen(listened, adopted, born))).map_err(|error| {
        lock().take();
        CaptureError::Jvm(error.to_string())
    })
}

/// The agent's own descriptor, for the record of a capture, in a pause; -1 without a load.
pub fn socket() -> RawFd {
    lock().as_ref().map_or(-1, |load| load.socket.as_raw_fd())
}

/// Whether there is one that goes on until it is paused.
pub fn runs() -> bool {
    lock().as_ref().is_some_and(|load| load.born == epoch() && load.state == State::Runs)
}

/// The load stands still until this is dropped. Requests may be under way: those of a command that was stopped, and those
/// that the driver had no answer to in its second.
pub struct Paused(());

pub fn pause() -> Paused {
    let mut load = lock();
    if let Some(load) = load.as_mut() {
        load.noted = true;
    }
    if let Some(load) = load.as_mut().filter(|load| load.state == State::Runs) {
        load.say(PAUSE, State::Pausing);
    }
    let waits = |load: &mut Option<Load>| load.as_ref().is_some_and(|load| load.state == State::Pausing);
    let (_load, waited) =
        CHANGED.wait_timeout_while(load, PAUSES_WITHIN, waits).unwrap_or_else(PoisonError::into_inner);
    if waited.timed_out() {
        log::warn!("the load does not pause; the capture begins under load");
    }
    Paused(())
}

impl Drop for Paused {
    fn drop(&mut self) {
        let mut load = lock();
        match load.as_mut() {
            // The number is nobody's here, or somebody else's.
            Some(other) if other.born != epoch() => forget(load.take()),
            Some(ended) if ended.state == State::Ended => drop(load.take()),
            Some(load) => {
                load.noted = false;
                if matches!(load.state, State::Pausing | State::Paused) {
                    load.say(RESUME, State::Runs);
                }
            }
            None => {}
        }
        CHANGED.notify_all();
    }
}

/// The image is taken, or none will be.
pub fn end() {
    let goes_on = |load: &&mut Load| load.born == epoch() && !matches!(load.state, State::Ends | State::Ended);
    if let Some(load) = lock().as_mut().filter(goes_on) {
        load.say(END, State::Ends);
    }
    CHANGED.notify_all();
}

/// Hears the driver until it ends. While the load pauses, nothing is read: a thread of an instance would read there from
/// what is not its own any more.
fn listen(socket: Arc<OwnedFd>, adopted: Adopted, born: u32) {
    let mut heard = [0; LINE_AT_MOST];
    while epoch() == born {
        let load = lock();
        if load.as_ref().is_some_and(|load| load.state == State::Paused) {
            // Without a timeout: the kernel makes such a wait again in an instance, and nobody runs on there that renewal has to wait
            // for (`waits::undisturbed`). In an instance nothing ends it but another capture.
            drop(CHANGED.wait(load));
            continue;
        }
        drop(load);
        let mut polled = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
        // A freeze interrupts this, and it is not restarted.
        if poll(&mut polled, PollTimeout::NONE).is_err() || epoch() != born {
            continue;
        }
        match recv(socket.as_raw_fd(), &mut heard, MsgFlags::MSG_DONTWAIT) {
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            Ok(0) | Err(_) => {
                // Before: the socket is to be closed under the lock.
                drop(socket);
                has_ended();
                drop(adopted);
                return;
            }
            Ok(length) if &heard[..length] == PAUSED => {
                if let Some(load) = lock().as_mut().filter(|load| load.state == State::Pausing) {
                    load.state = State::Paused;
                }
                CHANGED.notify_all();
            }
            Ok(length) => report::line(&String::from_utf8_lossy(&heard[..length])),
        }
    }
    forget((socket, adopted));
}

fn has_ended() {
    let mut load = lock();
    let early = load.as_ref().is_some_and(|load| load.state != State::Ends && load.born == epoch());
    match load.as_mut() {
        Some(load) if load.noted => load.state = State::Ended,
        _ => drop(load.take()),
    }
    drop(load);
    if early {
        report::line("the process that drives the training load has ended; the JVM goes on without a load");
    }
    CHANGED.notify_all();
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
    use std::sync::mpsc::channel;
    use std::time::Instant;

    /// There is one load.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

    fn sockets() -> (OwnedFd, OwnedFd) {
        socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).unwrap()
    }

    /// An instance goes back at once into a wait for a futex that has no timeout. Of a thread in any other the capture says that it runs
    /// on, and then renewal waits until all threads are back.
    #[test]
    fn the_listener_of_a_paused_load_sleeps_for_ever() {
        let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let (ours, driver) = sockets();
        let ours = Arc::new(ours);
        *lock() = Some(Load { socket: Arc::clone(&ours), state: State::Pausing, born: epoch(), noted: false });
        let (tell, told) = channel();
        let listener = std::thread::spawn(move || {
            tell.send(nix::unistd::gettid()).unwrap();
            listen(ours, Adopted::none(), epoch());
        });
        let path = format!("/proc/self/task/{}/syscall", told.recv().unwrap());
        send(driver.as_raw_fd(), PAUSED, MsgFlags::empty()).unwrap();
        let end = Instant::now() + Duration::from_secs(5);
        loop {
            // Its number, its arguments in hexadecimal digits, of which the fourth is the timeout.
            let call = std::fs::read_to_string(&path).unwrap();
            let words: Vec<&str> = call.split_whitespace().collect();
            if words.first() == Some(&libc::SYS_futex.to_string().as_str()) && words.get(4) == Some(&"0x0") {
                break;
            }
            assert!(Instant::now() < end, "the listener is in {call}");
            std::thread::sleep(Duration::from_millis(1));
        }
        lock().as_mut().unwrap().state = State::Ends;
        CHANGED.notify_all();
        drop(driver);
        listener.join().unwrap();
    }

    #[test]
    fn the_socket_is_open_until_the_end_of_a_capture() {
        let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        for (state, driver_ends_in_it) in [(State::Ends, true), (State::Paused, true), (State::Ends, false)] {
            let (ours, driver) = sockets();
            let number = ours.as_raw_fd();
            *lock() = Some(Load { socket: Arc::new(ours), state, born: epoch(), noted: false });
            let closed = || loop {
                match recv(driver.as_raw_fd(), &mut [0; 16], MsgFlags::MSG_DONTWAIT) {
                    Ok(0) => return true,
                    Ok(_) => {}
                    Err(errno) => {
                        assert_eq!(errno, Errno::EAGAIN);
                        return false;
                    }
                }
            };
            let paused = pause();
            if driver_ends_in_it {
                has_ended();
                end();
            }
            assert!(!closed());
            assert_eq!(socket(), number);
            drop(paused);
            if !driver_ends_in_it {
                assert!(!closed());
                has_ended();
            }
            assert!(closed());
            assert_eq!(socket(), -1);
        }
    }
}
