//! One file for each thing that is measured.

pub mod aot;
pub mod criu;
pub mod detector;
pub mod expected;
pub mod gap;
pub mod idle;
pub mod image;
pub mod live;
pub mod parts;
pub mod prefetch;
pub mod program;
pub mod startup;
pub mod steady;
