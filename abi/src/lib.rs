//! What the agent (in the JVM), the helper (`hotfork`) and the restorer (the blob that replaces one
//! address space by another) share. Everything here is defined once, is `#[repr(C)]`, needs no
//! allocator, and is versioned as a whole by [`ABI_VERSION`].
#![no_std]
#![deny(unsafe_code)]

pub mod ahead;
pub mod capture;
pub mod clock;
pub mod load;
pub mod options;
mod plain;
pub mod record;
pub mod restore;
pub mod template;
mod text;
pub mod warm;

pub use plain::Plain;
pub use text::Text;

/// Changes whenever any structure of this crate changes, or who says what when. Agent and helper refuse each other unless
/// this and the package version agree exactly.
pub const ABI_VERSION: u32 = 21;

/// Version of the package, part of the greeting between agent and helper.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

pub const PAGE: u64 = 4096;
/// Which one entry of the page directory maps.
pub const HUGE_PAGE: u64 = 2 << 20;
