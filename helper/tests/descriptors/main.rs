//! Each kind of descriptor is recorded from one process and rebuilt in another; each refusal is read.

mod files;
mod harness;
mod pipes_and_events;
mod refusals;
mod sockets;
mod table;
