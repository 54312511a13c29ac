//! What an image must hold: live heap, metaspace, code. Read in the captured JVM after the capture.

use crate::failure::Outcome;
use crate::hsperf::Counters;
use crate::jcmd;
use crate::jdk::Jdk;
use serde::Serialize;

/// Bytes.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Parts {
    /// After a full collection.
    pub live_heap: u64,
    /// Committed.
    pub metaspace: u64,
    /// In use.
    pub code_cache: u64,
}

impl Parts {
    pub fn sum(&self) -> u64 {
        self.live_heap + self.metaspace + self.code_cache
    }
}

pub fn measure(jdk: &Jdk, pid: u32) -> Outcome<Parts> {
    jcmd::run(jdk, pid, "GC.run")?;
    // The collection has brought these up to date.
    let counters = Counters::of(pid)?;
    Ok(Parts {
        live_heap: live_heap(&counters)?,
        metaspace: counters.get("sun.gc.metaspace.capacity")?,
        code_cache: jcmd::code_cache_used(jdk, pid)?,
    })
}

/// Of all spaces of all generations, as G1 and Serial call them alike.
fn live_heap(counters: &Counters) -> Outcome<u64> {
    counters.sum("sun.gc.generation.", ".used")
}
