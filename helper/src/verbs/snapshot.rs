//! Not in this build.

use crate::cli::SnapshotArgs;
use crate::exit::{ExitCode, Failure};

pub fn run(_args: SnapshotArgs) -> Result<i32, Failure> {
    Err(Failure::new(ExitCode::Usage, "`snapshot` is not in this build of hotfork"))
}
