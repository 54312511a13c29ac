//! The `hotfork` executable's parts. Everything here may allocate; what may not lives in
//! `hotfork-frozen` and in the restorer.
#![deny(unsafe_code)]

pub mod exit;
pub mod image;
pub mod proc;
pub mod save;
#[cfg(test)]
mod scratch;
