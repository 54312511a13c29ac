//! Why a capture did not happen, each as one line for the user.

use hotfork_abi::capture::Refused;
use hotfork_frozen::Errno;
use hotfork_frozen::descriptors::HandError;
use hotfork_frozen::fork::ForkError;
use hotfork_frozen::freeze::FreezeError;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    #[error("another capture of this JVM is under way: wait for it to end")]
    Busy,
    #[error("no image path was given: add image=FILE to the agent's options, or --image FILE")]
    NoImage,
    #[error(
        "cannot find hotfork beside libhotfork.so or in ../bin from there (looked at {0}): reinstall, or name it with the agent option helper=PATH"
    )]
    NoHelper(String),
    #[error("cannot start {}: {reason}", path.display())]
    StartHelper { path: PathBuf, reason: String },
    #[error("cannot reach the helper at {}: {reason}", path.display())]
    ReachHelper { path: PathBuf, reason: String },
    #[error("the helper ended or fell silent during {during} ({reason}): see whether the disk or memory is full")]
    HelperLost { during: &'static str, reason: String },
    /// The helper's own words.
    #[error("{reason}")]
    Refused { exit_code: i32, reason: String },
    #[error("{0}")]
    Jvm(String),
    #[error(
        "this JVM's collector is ZGC, whose heap is shared memory that a fork does not copy: start java with -XX:+UseG1GC, -XX:+UseParallelGC, -XX:+UseSerialGC or -XX:+UseShenandoahGC"
    )]
    Zgc,
    #[error("a debugger or another agent holds JVMTI's right to suspend threads (can_suspend): end it and try again")]
    SuspendTaken,
    #[error("the JVM did not suspend its application threads: {0}")]
    Suspend(String),
    #[error(
        "thread {tid} ({name}) blocks every signal and cannot be stopped: end what started it, or tell its library to leave signal {signal} open"
    )]
    ThreadBlocksSignals { tid: i32, name: String, signal: i32 },
    #[error("every real-time signal is taken by the application: free one of SIGRTMIN+1 to SIGRTMAX")]
    NoSignal,
    #[error("{what} failed: {reason}")]
    System { what: &'static str, reason: String },
    #[error("thread {tid} ({name}) did not stop in time: raise max-stop, or capture when the machine is less busy")]
    FreezeDeadline { tid: i32, name: String },
    #[error("threads start faster than they can be stopped: capture when fewer are being started")]
    TooManyThreads,
    #[error(
        "the first thread of the process has ended, which a restored one needs: start the JVM with the java launcher"
    )]
    NoLeader,
    #[error(
        "descriptor {number} or one near it cannot be handed to the helper ({reason}): close it before the capture"
    )]
    HandOver { number: i32, reason: String },
    #[error(
        "fork failed ({0}): the limit on processes or memory is too low (ulimit -u, pids.max, vm.overcommit_memory)"
    )]
    Fork(String),
    #[error("the copy of the JVM was not ready in time: raise max-stop")]
    ForkDeadline,
}

impl CaptureError {
    /// Whether this came up after the helper was met: then it has been told, or is gone.
    pub fn ends_a_conversation(&self) -> bool {
        !matches!(self, Self::Busy | Self::NoImage | Self::ReachHelper { .. })
    }

    /// The exit code that the contract gives this failure.
    pub fn exit_code(&self) -> i32 {
        match self {
            Self::Refused { exit_code, .. } => *exit_code,
            Self::Zgc | Self::SuspendTaken | Self::ThreadBlocksSignals { .. } | Self::NoLeader | Self::Busy => 114,
            _ => 115,
        }
    }
}

fn name_of(tid: i32) -> String {
    let name = std::fs::read_to_string(format!("/proc/self/task/{tid}/comm"));
    name.map_or_else(|_| "already ended".into(), |name| name.trim_end().to_string())
}

/// An error number in words.
pub fn words(errno: Errno) -> String {
    nix::errno::Errno::from_raw(errno.0).desc().to_string()
}

impl From<FreezeError> for CaptureError {
    fn from(error: FreezeError) -> Self {
        match error {
            FreezeError::Deadline { tid } => Self::FreezeDeadline { tid, name: name_of(tid) },
            FreezeError::TooMany => Self::TooManyThreads,
            FreezeError::NoLeader => Self::NoLeader,
            FreezeError::Tasks(errno) => Self::System { what: "reading /proc/self/task", reason: words(errno) },
            FreezeError::Signal { tid, errno } => {
                Self::System { what: "signalling a thread", reason: format!("{} (thread {tid})", words(errno)) }
            }
        }
    }
}

impl From<HandError> for CaptureError {
    fn from(error: HandError) -> Self {
        match error {
            HandError::List(errno) => Self::System { what: "reading /proc/self/fd", reason: words(errno) },
            HandError::Send { number, errno } => Self::HandOver { number, reason: words(errno) },
            HandError::Helper(errno) => Self::HelperLost { during: "recording descriptors", reason: words(errno) },
            HandError::Refused(refused) => refused.into(),
        }
    }
}

impl From<ForkError> for CaptureError {
    fn from(error: ForkError) -> Self {
        match error {
            ForkError::Clone(errno) => Self::Fork(words(errno)),
            ForkError::Deadline { .. } => Self::ForkDeadline,
            ForkError::Descriptors { why, .. } => why.into(),
        }
    }
}

impl From<Refused> for CaptureError {
    fn from(refused: Refused) -> Self {
        Self::Refused { exit_code: refused.exit_code, reason: refused.reason.as_str().to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_keeps_the_helpers_words_and_code() {
        let refused = Refused {
            kind: hotfork_abi::capture::REFUSED,
            exit_code: 113,
            reason: hotfork_abi::Text::new("the disk is full"),
        };
        let error = CaptureError::from(refused);
        assert_eq!((error.to_string().as_str(), error.exit_code()), ("the disk is full", 113));
    }

    #[test]
    fn zgc_is_refused_by_name_with_the_remedy() {
        let text = CaptureError::Zgc.to_string();
        assert!(text.contains("ZGC") && text.contains("-XX:+UseG1GC"), "{text}");
        assert_eq!(CaptureError::Zgc.exit_code(), 114);
    }

    #[test]
    fn words_are_those_of_the_system() {
        assert_eq!(words(Errno(28)), "No space left on device");
    }
}
