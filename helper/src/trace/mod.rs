//! What `hotfork watch` sees: a line for each tick, and all of them drawn.
//!
//! ```text
//!  line    a tick, for people and as JSON
//!  record  all ticks, as far as they are drawn
//!  plot    a record as SVG, of panels
//!  file    where it is written
//! ```
pub mod file;
mod line;
mod panel;
mod plot;
mod record;

pub use line::Line;
pub use record::Record;
