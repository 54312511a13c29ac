//! Code that runs while the JVM's other threads are frozen, or do not exist yet.
//!
//! A frozen thread may hold any lock there is: the allocator's, the dynamic linker's, a stdio
//! stream's. So nothing here allocates, locks, panics, unwinds, or touches a thread-local; memory comes
//! from the caller or is static, and the kernel is asked by raw system calls only. The crate is
//! `no_std`, and a test reads its object code for what it must not refer to.
//!
//! ```text
//!  freeze      the capturing thread signals every other task      (handler: each parks)
//!  descriptors the capturing thread hands descriptors to the helper
//!  fork        the capturing thread forks; the child is the template
//!  template    the child serves the helper: it writes its own memory
//!  sampling    where threads were when the detector's timers went off
//!  instance    entry of a restored process: signal dispositions, release
//!  revival     its threads are made, and come back
//!  waits       what becomes of waits that were under way, in an instance
//! ```
//! Who runs where: `freeze`, `descriptors` and `fork` in the capturing thread of the JVM; `handler` in
//! every other thread of it; `template` in the forked child; `instance` and `revival` in a restored process. `clock` is what HotSpot
//! calls for the time in an instance.
#![no_std]
#![deny(unsafe_code, unsafe_op_in_unsafe_fn)]

mod arch;
pub mod clock;
pub mod descriptors;
pub mod fork;
pub mod freeze;
pub mod handler;
pub mod hotspot;
pub mod instance;
pub mod later;
mod revival;
pub mod sampling;
mod say;
mod socket;
pub mod state;
pub mod syscall;
pub mod template;
mod waits;

/// A system call's error number, positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub i32);
