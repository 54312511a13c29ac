//! Exit codes of `hotfork`, and the one error type that carries one of them to the top.

use std::fmt;

/// What a failure means for the caller. The numbers are a promise (README, `--help`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum ExitCode {
    /// `check` found a "no".
    No = 1,
    Usage = 2,
    ImageDamaged = 110,
    /// The image does not fit this host or this application.
    DoesNotFit = 111,
    Untrusted = 112,
    HostResource = 113,
    /// Something cannot be carried, or another capture is under way.
    Refused = 114,
    CaptureFailed = 115,
    SaveFailed = 116,
}

impl ExitCode {
    pub fn from_number(number: i32) -> Option<Self> {
        use ExitCode::*;
        [No, Usage, ImageDamaged, DoesNotFit, Untrusted, HostResource, Refused, CaptureFailed, SaveFailed]
            .into_iter()
            .find(|code| *code as i32 == number)
    }
}

/// A failure as the user reads it: what failed, on what, why, and what to do next, in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub code: ExitCode,
    pub message: String,
}

impl Failure {
    pub fn new(code: ExitCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}
