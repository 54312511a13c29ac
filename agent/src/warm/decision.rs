//! Whether a JVM is warm: a pure function of what was seen, so that recorded traces can be judged again.
//!
//! Windows are measured in CPU time of the application: without work there is no evidence, so an idle JVM never
//! passes for a warm one. They grow with age (a fifteenth of all work so far), so that the evidence of a service that has run
//! for a minute is not one quiet moment. Why these signals, and not the count of finished compilations: that stood
//! still for whole seconds while a compiler worked on one large method and a hundred others waited.

use hotfork_abi::Plain;
use hotfork_abi::warm::{Evidence, NOT_PROVEN_WARM, QUEUE_UNKNOWN, TICK_COMPILERS_STOPPED, Tick, WARM};
use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

/// The least work that a verdict stands on.
const WINDOW_AT_LEAST: u64 = 750_000_000;
/// A fifteenth of all work so far.
const WINDOW_OF_TOTAL: u64 = 15;
/// No window is longer: what a JVM does in a minute of work is what it does.
const WINDOW_AT_MOST: u64 = 60_000_000_000;
/// Ticks of less work than this are joined, so that an idle JVM does not fill memory with them.
const TICK_AT_LEAST: u64 = 25_000_000;
/// A window may grow to this part of all work where its samples are few.
const WINDOW_AT_MOST_OF_TOTAL: u64 = 2;
pub const SAMPLES_AT_LEAST: u32 = 80;
/// Of one processor. Below it the JIT's thresholds, which decay with time, are not reached, however long it takes.
const LOAD_PER_MILLE_AT_LEAST: u64 = 50;
/// Compilers that keep up empty their queue now and then. It is not to be empty all the time: some methods become hot late, and are
/// compiled while the application rests before its capture.
const QUEUE_AT_MOST: u32 = 2;
/// Of the application's CPU time. Latency is steady while the compilers still have two fifths of that to do (28 runs of `./x bench`:
/// the verdict fell 11 % after it with a quarter, 8 % with two fifths and a sixteenth of new methods in
/// place of a twenty-fifth); what they do then they finish in the rest before the capture.
const JIT_PER_CENT_AT_MOST: u64 = 40;
/// Where nobody knows what waits for them.
const JIT_PER_CENT_WITHOUT_QUEUE: u64 = 10;
const JIT_BESIDES: u64 = 20_000_000;
const CLASSES_AT_MOST: u64 = 5;
pub const NEW_METHODS_AT_MOST: u32 = 2;
/// And so many more: a sixteenth of all.
const NEW_METHODS_OF_ALL: u32 = 16;
const COLD_PER_CENT_AT_MOST: f64 = 6.0;
/// Upper bound of the share that so few samples leave possible (Wilson's interval, 95 %).
pub const COLD_PER_CENT_POSSIBLE: f64 = 12.0;

#[derive(Default)]
pub struct Detector {
    /// How long it has looked before its first tick.
    before: u64,
    /// The longest window, and before it the tick whose end is its beginning.
    ticks: VecDeque<Tick>,
    /// Application CPU time of all ticks, and of that window.
    total: u64,
    kept: u64,
}

pub enum Verdict {
    Warm(Evidence),
    NotYet(Evidence, Vec<Reason>),
}

/// What speaks against "warm".
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reason {
    TooLittleWork { done: u64, wanted: u64 },
    LittleLoad { per_mille: u64 },
    FewSamples { samples: u32 },
    Cold { per_cent: f64, possible: f64 },
    Queue { shortest: u32 },
    Jit { cpu: u64, of: u64 },
    NewMethods { new: u32, of: u32 },
    NewClasses { new: u64 },
    CompilersStopped,
}

impl Detector {
    /// One that goes on after a verdict, with windows as long as the JVM's past asks for.
    pub fn after(verdict: &Evidence) -> Self {
        Self { before: verdict.age, total: verdict.app_cpu_total, ..Self::default() }
    }

    /// Windows begin with the end of the last tick from now on.
    pub fn forget(&mut self) {
        self.ticks.drain(..self.ticks.len().saturating_sub(1));
        self.kept = 0;
    }

    pub fn push(&mut self, tick: Tick) -> Verdict {
        self.total += tick.app_cpu;
        if !self.ticks.is_empty() {
            self.kept += tick.app_cpu;
        }
        match self.ticks.back_mut().filter(|last| last.app_cpu < TICK_AT_LEAST) {
            Some(last) if self.kept > tick.app_cpu => join(last, &tick),
            _ => self.ticks.push_back(tick),
        }
        while let Some(second) = self.ticks.get(1) {
            if self.kept - second.app_cpu < self.longest() {
                break;
            }
            self.kept -= second.app_cpu;
            self.ticks.pop_front();
        }
        self.judge()
    }

    fn longest(&self) -> u64 {
        (self.total / WINDOW_AT_MOST_OF_TOTAL).clamp(WINDOW_AT_LEAST, 2 * WINDOW_AT_MOST)
    }

    fn judge(&self) -> Verdict {
        let (evidence, load) = self.evidence();
        let reasons = self.reasons(&evidence, load);
        if reasons.is_empty() {
            Verdict::Warm(Evidence { verdict: WARM, ..evidence })
        } else {
            Verdict::NotYet(Evidence { verdict: NOT_PROVEN_WARM, ..evidence }, reasons)
        }
    }

    /// The shortest window that holds enough work and enough samples, and its load in thousandths of a processor.
    fn evidence(&self) -> (Evidence, u64) {
        let mut evidence = Evidence::zeroed();
        let Some(last) = self.ticks.back() else { return (evidence, 0) };
        let mut begin = last;
        evidence.queue = QUEUE_UNKNOWN;
        for (index, tick) in self.ticks.iter().enumerate().skip(1).rev() {
            if evidence.app_cpu >= wanted(self.total) && evidence.hot + evidence.cold >= SAMPLES_AT_LEAST {
                break;
            }
            evidence.app_cpu += tick.app_cpu;
            evidence.jit_cpu += tick.jit_cpu;
            evidence.hot += tick.hot;
            evidence.cold += tick.cold;
            evidence.queue = evidence.queue.min(tick.queue);
            begin = self.ticks.get(index - 1).unwrap_or(tick);
        }
        evidence.age = self.before + last.at;
        evidence.app_cpu_total = self.total;
        evidence.window = last.at - begin.at;
        evidence.classes = last.classes;
        evidence.new_classes = last.classes.saturating_sub(begin.classes);
        evidence.hot_methods = last.hot_methods;
        evidence.new_hot_methods = last.hot_methods.saturating_sub(begin.hot_methods);
        let load = (evidence.app_cpu * 1000).checked_div(evidence.window).unwrap_or(0);
        (evidence, load)
    }

    fn reasons(&self, evidence: &Evidence, load: u64) -> Vec<Reason> {
        let mut reasons = Vec::new();
        let samples = evidence.hot + evidence.cold;
        let wanted = wanted(self.total);
        if evidence.app_cpu < wanted {
            reasons.push(Reason::TooLittleWork { done: evidence.app_cpu, wanted });
        }
        if load < LOAD_PER_MILLE_AT_LEAST {
            reasons.push(Reason::LittleLoad { per_mille: load });
        }
        if samples < SAMPLES_AT_LEAST {
            reasons.push(Reason::FewSamples { samples });
        } else {
            let Share { per_cent, possible, .. } = cold(evidence.cold, samples);
            if per_cent > COLD_PER_CENT_AT_MOST || possible > COLD_PER_CENT_POSSIBLE {
                reasons.push(Reason::Cold { per_cent, possible });
            }
        }
        if evidence.queue != QUEUE_UNKNOWN && evidence.queue > QUEUE_AT_MOST {
            reasons.push(Reason::Queue { shortest: evidence.queue });
        }
        let jit = if evidence.queue == QUEUE_UNKNOWN { JIT_PER_CENT_WITHOUT_QUEUE } else { JIT_PER_CENT_AT_MOST };
        if evidence.jit_cpu > evidence.app_cpu * jit / 100 + JIT_BESIDES {
            reasons.push(Reason::Jit { cpu: evidence.jit_cpu, of: evidence.app_cpu });
        }
        if evidence.new_hot_methods > NEW_METHODS_AT_MOST + evidence.hot_methods / NEW_METHODS_OF_ALL {
            reasons.push(Reason::NewMethods { new: evidence.new_hot_methods, of: evidence.hot_methods });
        }
        if evidence.new_classes > CLASSES_AT_MOST {
            reasons.push(Reason::NewClasses { new: evidence.new_classes });
        }
        if !reasons.is_empty() && self.ticks.back().is_some_and(|tick| tick.flags & TICK_COMPILERS_STOPPED != 0) {
            reasons.push(Reason::CompilersStopped);
        }
        reasons
    }
}

/// The work that a window is to hold, after so much work in all.
pub fn wanted(total: u64) -> u64 {
    (total / WINDOW_OF_TOTAL).clamp(WINDOW_AT_LEAST, WINDOW_AT_MOST)
}

/// Adds a tick to the one before it.
fn join(last: &mut Tick, tick: &Tick) {
    *last = Tick {
        app_cpu: last.app_cpu + tick.app_cpu,
        jit_cpu: last.jit_cpu + tick.jit_cpu,
        vm_cpu: last.vm_cpu + tick.vm_cpu,
        hot: last.hot + tick.hot,
        cold: last.cold + tick.cold,
        native: last.native + tick.native,
        queue: tick.queue.min(last.queue),
        ..*tick
    };
}

/// Of cold samples, in per cent.
pub struct Share {
    pub per_cent: f64,
    /// Less can be ruled out.
    pub certain: f64,
    /// More can be ruled out.
    pub possible: f64,
}

/// Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 1927.
pub fn cold(cold: u32, samples: u32) -> Share {
    const Z: f64 = 1.96;
    let n = f64::from(samples);
    let share = f64::from(cold) / n;
    let centre = share + Z * Z / (2.0 * n);
    let spread = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    let per_cent = |bound: f64| bound / (1.0 + Z * Z / n) * 100.0;
    Share { per_cent: share * 100.0, certain: per_cent(centre - spread), possible: per_cent(centre + spread) }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = Duration::from_nanos;
        match *self {
            Self::TooLittleWork { done, wanted } => {
                write!(f, "{:.1?} of work seen, {:.1?} wanted", time(done), time(wanted))
            }
            Self::LittleLoad { per_mille } => {
                write!(f, "{:.1} % of one CPU used: nothing compiles at such a load", per_mille as f64 / 10.0)
            }
            Self::FewSamples { samples } => write!(f, "only {samples} samples of Java code"),
            Self::Cold { per_cent, possible } => {
                write!(
                    f,
                    "{per_cent:.0} % of the time in code that is not compiled for good ({possible:.0} % possible)"
                )
            }
            Self::Queue { shortest } => write!(f, "{shortest} methods or more wait for a compiler"),
            Self::Jit { cpu, of } => {
                write!(
                    f,
                    "compilers work ({:.0} % of the application's CPU time)",
                    cpu as f64 * 100.0 / of.max(1) as f64
                )
            }
            Self::NewMethods { new, of } => write!(f, "{new} of {of} methods are newly compiled for good"),
            Self::NewClasses { new } => write!(f, "{new} classes were loaded"),
            Self::CompilersStopped => {
                f.write_str("the code cache is full and nothing compiles: raise -XX:ReservedCodeCacheSize")
            }
        }
    }
}

#[cfg(test)]
#[path = "decision_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "trace_tests.rs"]
pub mod trace_tests;
