//! The detector shown to `hotfork watch`: a message for each tick, until nobody listens.

use super::{Detector, Verdict, observe, words};
use crate::capture::{self, CaptureError};
use crate::jvm::{JavaError, Jvm};
use crate::report;
use hotfork_abi::warm::{SEEN, Seen};
use hotfork_abi::{Plain, Text};
use nix::sys::socket::{MsgFlags, send};
use std::ops::ControlFlow;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;

/// Starts a thread that connects to `control` and speaks there.
pub fn start(jvm: &Jvm, control: PathBuf) -> Result<(), JavaError> {
    jvm.spawn(
        "Hotfork watch",
        Box::new(move |jvm| {
            let result = capture::meet(&control).and_then(|socket| show(jvm, socket));
            if let Err(error) = result {
                // Whoever watches hears it, unless the way there is what failed.
                if let Err(unheard) = capture::tell(&control, &error) {
                    report::line(&format!("{error} ({unheard})"));
                }
            }
        }),
    )
}

fn show(jvm: &Jvm, socket: OwnedFd) -> Result<(), CaptureError> {
    capture::limit_sending(&socket)?;
    // In an instance of this JVM the socket is one that is closed at its other end.
    let mut detector = Detector::default();
    observe(jvm, None, |tick| {
        let (evidence, reasons) = match detector.push(*tick) {
            Verdict::Warm(evidence) => (evidence, String::new()),
            Verdict::NotYet(evidence, reasons) => (evidence, words(&reasons)),
        };
        let seen = Seen { kind: SEEN, spare: 0, tick: *tick, evidence, reasons: Text::new(&reasons) };
        match send(socket.as_raw_fd(), seen.as_bytes(), MsgFlags::MSG_NOSIGNAL) {
            Ok(_) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    })?;
    Ok(())
}
