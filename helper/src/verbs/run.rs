//! Not in this build.

use crate::cli::RunArgs;
use crate::exit::{ExitCode, Failure};

pub fn run(_args: RunArgs) -> Result<i32, Failure> {
    Err(Failure::new(ExitCode::Usage, "`run` is not in this build of hotfork"))
}
