//! One file for each thing that is measured.

pub mod gap;
pub mod idle;
pub mod live;
pub mod program;
pub mod startup;
