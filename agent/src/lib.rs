//! The JVMTI agent, `libhotfork.so`: captures the JVM it lives in, and renews an instance of it.
//!
//! ```text
//!  options     what the user asked for          (-agentpath:…=key=value,…)
//!  entry       the JVM's calls into the agent
//!  job         the agent's thread: waits for its moment, captures, reports
//!  resnapshot  a better image when the JVM has changed
//!  ready       the application's own word, for when=ready
//!  warm        the warm-up detector, for when=warm
//!  rest        what is awaited before a capture
//!  load        the training load, which another process drives
//!  capture     one capture: helper, suspension, freeze, fork, thaw
//!  hotspot     where this JVM keeps things: vmStructs, thread-local storage, hsperfdata
//!  renew       what a restored instance must know anew before application threads run
//! ```
//! Code that runs while threads are frozen is not here: it is the crate `hotfork-frozen`.
#![deny(unsafe_code, unsafe_op_in_unsafe_fn)]

mod capture;
mod control;
mod entry;
mod hotspot;
mod job;
mod jvm;
mod load;
mod options;
mod ready;
mod renew;
mod report;
mod resnapshot;
mod rest;
mod warm;

#[global_allocator]
static ALLOCATOR: renew::Allocator = renew::Allocator;
