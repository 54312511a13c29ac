//! The descriptor table: recorded from the frozen JVM ([`record`]), rebuilt in the process that
//! becomes its instance ([`rebuild`]).

mod class;
mod options;
mod rebuild;
mod record;
pub(crate) mod sys;

pub use rebuild::moves::{PortMove, PortMoves};
pub use rebuild::room::{lift, make_room, occupy_standard, widen};
pub use rebuild::{Rebuilt, rebuild};
pub use record::contents::Contents;
pub use record::{Recorded, Recorder};
