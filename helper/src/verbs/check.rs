//! x
use crate::cli::CheckArgs;
use crate::exit::Failure;
pub fn run(_args: &CheckArgs) -> Result<i32, Failure> { Ok(0) }
