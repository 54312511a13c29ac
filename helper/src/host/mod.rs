//! Facts about this host: what a restore compares with the image, and what `check` tells.

pub mod cgroup;
pub mod clocks;
pub mod cpu_features;
pub mod cpu_x86_64;
pub mod kernel;
pub mod limits;
pub mod maps;
pub mod probes;
