//! Idle monitors are deflated before the capture. HotSpot does it once a minute, so every instance of an older image
//! would do it at once, for 6 ms in a Spring service.

use crate::hotspot::flags::Flags;
use std::time::Duration;

/// The Monitor Deflation Thread looks every quarter of a second (AsyncDeflationInterval).
const TWO_LOOKS: Duration = Duration::from_millis(550);

/// False where the flag is not there.
pub fn deflate(flags: &Flags) -> bool {
    let Some(changed) = flags.set_integer("GuaranteedAsyncDeflationInterval", 1) else { return false };
    std::thread::sleep(TWO_LOOKS);
    drop(changed);
    true
}
