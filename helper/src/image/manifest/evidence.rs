//! Why the JVM was taken for warm.

use hotfork_abi::warm;
use serde::{Deserialize, Serialize};

/// The work that a verdict stands on (`hotfork_abi::warm::Evidence`).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Evidence {
    /// Else the deadline came first.
    pub warm: bool,
    /// CLOCK_MONOTONIC when it was judged, 0 in what `watch` shows.
    pub judged_ns: u64,
    pub age_ns: u64,
    pub application_cpu_ns: u64,
    pub window_ns: u64,
    pub window_application_cpu_ns: u64,
    pub window_jit_cpu_ns: u64,
    /// The shortest queue in the window; null where libjvm has no symbol table.
    pub compile_queue: Option<u32>,
    pub classes: u64,
    pub new_classes: u64,
    /// Methods compiled for good.
    pub hot_methods: u32,
    pub new_hot_methods: u32,
    /// Samples in code that is compiled for good, and in other Java code.
    pub hot_samples: u32,
    pub cold_samples: u32,
}

impl Evidence {
    pub fn read(seen: &warm::Evidence) -> Option<Self> {
        (seen.verdict != warm::NOT_JUDGED).then(|| Self {
            warm: seen.verdict == warm::WARM,
            judged_ns: seen.judged,
            age_ns: seen.age,
            application_cpu_ns: seen.app_cpu_total,
            window_ns: seen.window,
            window_application_cpu_ns: seen.app_cpu,
            window_jit_cpu_ns: seen.jit_cpu,
            compile_queue: Some(seen.queue).filter(|&queue| queue != warm::QUEUE_UNKNOWN),
            classes: seen.classes,
            new_classes: seen.new_classes,
            hot_methods: seen.hot_methods,
            new_hot_methods: seen.new_hot_methods,
            hot_samples: seen.hot,
            cold_samples: seen.cold,
        })
    }

    /// In words.
    pub fn line(&self) -> String {
        let seconds = |ns: u64| ns as f64 / 1e9;
        let queue = self.compile_queue.map_or("unknown".into(), |queue| queue.to_string());
        format!(
            "{} after {:.1} s and {:.1} s of work: in the last {:.1} s ({:.1} s of work) {} of {} samples in cold code, \
             shortest compile queue {queue}, JIT {:.2} s, {} of {} compiled methods new, {} of {} classes new",
            if self.warm { "warm" } else { "not proven warm" },
            seconds(self.age_ns),
            seconds(self.application_cpu_ns),
            seconds(self.window_ns),
            seconds(self.window_application_cpu_ns),
            self.cold_samples,
            self.hot_samples + self.cold_samples,
            seconds(self.window_jit_cpu_ns),
            self.new_hot_methods,
            self.hot_methods,
            self.new_classes,
            self.classes,
        )
    }
}
