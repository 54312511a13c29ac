//! A full collection, stop-the-world with every collector, so that what is dead does not go into the image.
//!
//! Compiled code that was replaced goes with the second collection after that, not with the first one: a frame may still be in it
//! (`nmethod::is_maybe_on_stack`, since JDK 20). G1 and Shenandoah have marked beside the application before; Serial and Parallel
//! collect as a whole so seldom that the first one leaves ten megabytes of a Spring service's image (JDK 25).

use crate::hotspot::flags::Flags;
use crate::jvm::Jvm;
use std::time::Instant;

const WITHOUT_CONCURRENT_MARKING: [&str; 2] = ["UseSerialGC", "UseParallelGC"];

/// What was done: how often, and how long it took. Twice where that gives more back, and `nobody_waits`, as the application stands still
/// meanwhile. `Err` says why there was none.
pub fn collect(jvm: &Jvm, flags: &Flags, nobody_waits: bool) -> Result<String, String> {
    if flags.is_set("UseEpsilonGC") {
        return Err("Epsilon collects nothing".into());
    }
    // Shenandoah takes the request for one of System.gc(), which it may ignore, or carry out concurrently without
    // compacting (ShenandoahControlThread). Serial, Parallel and G1 look at neither for this one.
    let changed = [flags.set_bool("DisableExplicitGC", false), flags.set_bool("ExplicitGCInvokesConcurrent", false)];
    let twice =
        nobody_waits && keeps_replaced_code(jvm) && WITHOUT_CONCURRENT_MARKING.iter().any(|flag| flags.is_set(flag));
    let begin = Instant::now();
    let once = || jvm.ti.force_garbage_collection().map_err(|error| format!("ForceGarbageCollection said {error:?}"));
    let result = once().and_then(|()| if twice { once() } else { Ok(()) });
    let took = begin.elapsed();
    drop(changed);
    result.map(|()| format!("collected {}in {took:.1?}", if twice { "twice " } else { "" }))
}

/// Before, a sweeper of its own gave it back.
fn keeps_replaced_code(jvm: &Jvm) -> bool {
    jvm.java_version().is_some_and(|version| version >= 20)
}
