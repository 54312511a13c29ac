//! The image: one regular, dense file that holds a template.

pub mod checksum;
pub mod format;
pub mod manifest;
