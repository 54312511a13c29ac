//! What depends on the CPU, one file each.

#[cfg(target_arch = "x86_64")]
mod x86_64;
#[cfg(target_arch = "x86_64")]
pub use x86_64::*;

#[cfg(not(target_arch = "x86_64"))]
compile_error!("Hotfork runs on x86-64 only: another CPU needs a file of its own here");
