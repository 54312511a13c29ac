//! The `hotfork` executable's parts. Everything here may allocate; what may not lives in
//! `hotfork-frozen` and in the restorer.
#![deny(unsafe_code)]

pub mod cli;
pub mod descriptors;
pub mod exit;
pub mod host;
pub mod image;
pub mod proc;
pub mod restore;
pub mod say;
pub mod verbs;
