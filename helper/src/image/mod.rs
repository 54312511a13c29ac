//! The image: one regular, dense file that holds a template.

pub mod checksum;
pub mod describe;
pub mod error;
pub mod format;
pub mod manifest;
pub mod read;
pub mod tail;
pub mod temporary;
pub mod trust;
pub mod write;
