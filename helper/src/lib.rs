//! The `hotfork` executable's parts. Everything here may allocate; what may not lives in
//! `hotfork-frozen` and in the restorer.
#![deny(unsafe_code)]

pub mod agent;
pub mod attach;
pub mod cli;
mod cli_restore;
mod control_socket;
pub mod descriptors;
pub mod exit;
pub mod host;
pub mod identity;
pub mod image;
mod interrupt;
pub mod load;
pub mod proc;
mod reach;
pub mod report;
pub mod restore;
pub mod save;
pub mod say;
#[cfg(test)]
mod scratch;
mod snapshot_socket;
mod trace;
mod trial;
pub mod verbs;
