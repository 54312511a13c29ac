//! A young collection, by the only way there is to ask for one: eden is filled.
//!
//! # Safety contract of this file
//! Arrays are local references of the calling thread, given back one by one.
#![allow(unsafe_code)]

use crate::hotspot::counters::Counter;
use crate::hotspot::flags;
use crate::hotspot::vmstructs::VmStructs;
use crate::jvm::Jvm;
use std::time::{Duration, Instant};

/// Far below a humongous object (half a region of 1 MB) and what is allocated outside of eden.
const ARRAY: i32 = 16 << 10;
/// Arrays between two looks at the counter.
const BATCH: u32 = 16;
const AT_MOST: Duration = Duration::from_secs(2);
/// With more than this part of the heap in use after a full collection a young one may be a concurrent start, which
/// re-arms code.
const USED_PER_CENT_AT_MOST: u64 = 45;

/// How long it took; `None` where there was none: a collector without generations (Shenandoah has counters of that name, and
/// never counts), no counters, a heap rather full.
pub fn collect(jvm: &Jvm, structs: &VmStructs) -> Option<Duration> {
    if !matches!(flags::collector(structs), Ok("Serial" | "Parallel" | "G1")) {
        return None;
    }
    let collections = Counter::find(structs, c"sun.gc.collector.0.invocations")?;
    let old = Counter::find(structs, c"sun.gc.generation.1.space.0.used")?;
    let capacity = Counter::find(structs, c"sun.gc.generation.1.space.0.maxCapacity")?;
    if old.value() * 100 > capacity.value() * USED_PER_CENT_AT_MOST {
        return None;
    }
    let (begin, before) = (Instant::now(), collections.value());
    while collections.value() == before {
        if begin.elapsed() > AT_MOST {
            return None;
        }
        for _ in 0..BATCH {
            let array = jvm.jni.new_byte_array(ARRAY);
            jvm.check("filling eden").ok()?;
            // SAFETY: the reference that was made last, which nobody else has.
            unsafe { jvm.jni.delete_local_ref(array?) };
        }
    }
    Some(begin.elapsed())
}
