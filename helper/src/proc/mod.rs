//! Parsers of /proc files.

pub mod fdinfo;
