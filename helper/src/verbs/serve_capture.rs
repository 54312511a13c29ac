//! Not in this build.

use crate::cli::ServeCaptureArgs;
use crate::exit::{ExitCode, Failure};

pub fn run(_args: ServeCaptureArgs) -> Result<i32, Failure> {
    Err(Failure::new(ExitCode::Usage, "`serve-capture` is not in this build of hotfork"))
}
