//! What the warm-up detector sees, and what it has seen when it decides.

use crate::Text;

/// `Tick::queue` of a JVM whose compile queues cannot be found.
pub const QUEUE_UNKNOWN: u32 = u32::MAX;
/// `Tick::flags`: the code cache was full, and the compilers stopped.
pub const TICK_COMPILERS_STOPPED: u32 = 1;

crate::plain_struct! {
    /// What happened in one tick of the detector. Times in nanoseconds; numbers are of this tick where nothing
    /// else is said.
    pub struct Tick {
        /// Its end, since the detector began.
        pub at: u64,
        /// CPU time of the application's threads.
        pub app_cpu: u64,
        /// CPU time of the JIT's threads.
        pub jit_cpu: u64,
        /// CPU time of the JVM's other threads (collector, VM thread, the detector itself).
        pub vm_cpu: u64,
        /// Samples of application threads in code of the last tier that this JVM compiles to.
        pub hot: u32,
        /// Samples in the interpreter and in code that is to be compiled again.
        pub cold: u32,
        /// Samples outside Java code.
        pub native: u32,
        /// Methods that wait for a compiler at the tick's end.
        pub queue: u32,
        /// Classes loaded since the JVM's start.
        pub classes: u64,
        /// Compiled methods of the last tier at the tick's end.
        pub hot_methods: u32,
        /// `TICK_*`
        pub flags: u32,
    }
}

/// `Evidence::verdict`: nobody asked the detector.
pub const NOT_JUDGED: u32 = 0;
pub const WARM: u32 = 1;
pub const NOT_PROVEN_WARM: u32 = 2;

/// `Seen::kind`
pub const SEEN: u32 = 32;

crate::plain_struct! {
    /// Agent to `hotfork watch`: a tick, and what the detector makes of it.
    pub struct Seen {
        pub kind: u32,
        pub spare: u32,
        pub tick: Tick,
        pub evidence: Evidence,
        /// What speaks against "warm".
        pub reasons: Text<512>,
    }
}

crate::plain_struct! {
    /// The window of ticks that a verdict stands on. Times in nanoseconds.
    pub struct Evidence {
        /// `NOT_JUDGED`, `WARM`, `NOT_PROVEN_WARM`
        pub verdict: u32,
        /// The shortest queue in the window, `QUEUE_UNKNOWN` where it cannot be seen.
        pub queue: u32,
        /// CLOCK_MONOTONIC when it was judged.
        pub judged: u64,
        /// How long the detector has looked.
        pub age: u64,
        /// Of the application while it looked.
        pub app_cpu_total: u64,
        /// The window, by the clock.
        pub window: u64,
        pub app_cpu: u64,
        pub jit_cpu: u64,
        pub classes: u64,
        pub new_classes: u64,
        pub hot_methods: u32,
        pub new_hot_methods: u32,
        pub hot: u32,
        pub cold: u32,
    }
}
