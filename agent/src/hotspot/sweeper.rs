//! The sweeper of JDK 17, which goes through all of the code cache when enough of it has changed: 6 ms of CPU time and 26 MB of pages in
//! each instance of an image that was taken right before that. JDK 20 has dropped it.

use super::{Mapping, symbols};

/// `NMethodSweeper::_bytes_changed`, a size_t
const BYTES_CHANGED: &[u8] = b"_ZN14NMethodSweeper14_bytes_changedE";

/// Where it counts what has changed since it went there last; 0 where there is none, or no symbol table that names it.
pub fn bytes_changed(maps: &[Mapping]) -> u64 {
    let [address] = symbols::find(maps, [BYTES_CHANGED]);
    address.unwrap_or(0)
}
