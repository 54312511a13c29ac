//! A full collection, stop-the-world with every collector, so that what is dead does not go into the image.

use crate::hotspot::flags::Flags;
use crate::jvm::Jvm;
use std::time::{Duration, Instant};

/// How long it took; `Err` says why there was none.
pub fn collect(jvm: &Jvm, flags: &Flags) -> Result<Duration, String> {
    if flags.is_set("UseEpsilonGC") {
        return Err("Epsilon collects nothing".into());
    }
    // Shenandoah takes the request for one of System.gc(), which it may ignore, or carry out concurrently without
    // compacting (ShenandoahControlThread). Serial, Parallel and G1 look at neither for this one.
    let changed = [flags.set_bool("DisableExplicitGC", false), flags.set_bool("ExplicitGCInvokesConcurrent", false)];
    let begin = Instant::now();
    let result = jvm.ti.force_garbage_collection();
    let took = begin.elapsed();
    drop(changed);
    result.map(|()| took).map_err(|error| format!("ForceGarbageCollection said {error:?}"))
}
