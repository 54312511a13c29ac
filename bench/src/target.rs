//! Cargo's target directory: this executable lies in a folder of it.

use crate::failure::{During, Failure, Outcome};
use std::path::PathBuf;

pub fn directory() -> Outcome<PathBuf> {
    let own = std::env::current_exe().during("find this executable")?;
    let target = own.ancestors().nth(2).map(PathBuf::from);
    target.ok_or_else(|| Failure(format!("{} lies in no target directory", own.display())))
}
