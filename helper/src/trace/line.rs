//! A tick of the detector as a line: JSON, what `watch --json` prints, or words.

use crate::image::manifest::Evidence;
use hotfork_abi::warm::{QUEUE_UNKNOWN, Seen, TICK_COMPILERS_STOPPED};
use serde::{Deserialize, Serialize};

/// Times in nanoseconds; numbers are of this tick where nothing else is said.
#[derive(Debug, Serialize, Deserialize)]
pub struct Line {
    /// CLOCK_MONOTONIC at the tick's end, as `hotfork watch` heard of it.
    pub monotonic_ns: u64,
    /// Since the detector began.
    pub at_ns: u64,
    pub app_cpu_ns: u64,
    pub jit_cpu_ns: u64,
    pub jvm_cpu_ns: u64,
    pub hot: u32,
    pub cold: u32,
    pub native: u32,
    /// At the tick's end; null where libjvm has no symbol table.
    pub compile_queue: Option<u32>,
    /// Since the JVM's start.
    pub classes: u64,
    pub hot_methods: u32,
    pub compilers_stopped: bool,
    pub warm: bool,
    pub reasons: String,
    pub evidence: Option<Evidence>,
}

impl Line {
    pub fn new(seen: &Seen, monotonic_ns: u64) -> Self {
        let tick = &seen.tick;
        let evidence = Evidence::read(&seen.evidence);
        Self {
            monotonic_ns,
            at_ns: tick.at,
            app_cpu_ns: tick.app_cpu,
            jit_cpu_ns: tick.jit_cpu,
            jvm_cpu_ns: tick.vm_cpu,
            hot: tick.hot,
            cold: tick.cold,
            native: tick.native,
            compile_queue: Some(tick.queue).filter(|&queue| queue != QUEUE_UNKNOWN),
            classes: tick.classes,
            hot_methods: tick.hot_methods,
            compilers_stopped: tick.flags & TICK_COMPILERS_STOPPED != 0,
            warm: evidence.as_ref().is_some_and(|evidence| evidence.warm),
            reasons: seen.reasons.as_str().into(),
            evidence,
        }
    }

    /// For people: one line, the signals first.
    pub fn words(&self) -> String {
        let seconds = |ns: u64| ns as f64 / 1e9;
        let queue = self.compile_queue.map_or("?".into(), |queue| queue.to_string());
        let samples = self.hot + self.cold;
        let cold = match samples {
            0 => "   -".into(),
            _ => format!("{:3.0}%", f64::from(self.cold) * 100.0 / f64::from(samples)),
        };
        format!(
            "{:7.2} s  app {:.2} s  jit {:.2} s  queue {queue:>3}  cold {cold} of {samples:3}  compiled {:5}  classes {:6}  {}",
            seconds(self.at_ns),
            seconds(self.app_cpu_ns),
            seconds(self.jit_cpu_ns),
            self.hot_methods,
            self.classes,
            if self.warm { "warm" } else { &self.reasons }
        )
    }
}
