//! What an image's first instance showed.

use serde::{Deserialize, Serialize};

/// What a trial's instance showed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Trial {
    /// From the first byte sent to the last one received.
    pub first_request_ns: u64,
    /// The median of what followed.
    pub later_request_ns: u64,
    /// Pages written before anything was asked for: a restore brings them in ahead.
    pub pages_before: u64,
    /// Pages written by the first answer besides: they are brought in when an instance has run for a while.
    pub pages_by_first_answer: u64,
    /// Pages of files that the first answer read, and nobody before: they are mapped then as well.
    pub pages_read_by_first_answer: u64,
    /// Page faults by then.
    pub faults: u64,
    /// CPU time by then, in nanoseconds.
    pub threads: Vec<(String, u64)>,
    /// CPU time of the compilers when they had come to what all requests asked of them, in nanoseconds.
    pub compiling_ns: u64,
    /// Methods that all requests took back from compiled code, because it had left out what they did (uncommon traps). None where HotSpot's count
    /// is unknown.
    pub deoptimizations: Option<u32>,
    /// Every instance would compile that much anew, or take back so many methods.
    pub poor: bool,
}

/// A warm JVM's compilers use nothing in a trial, or a method's worth; what is beyond that steals an instance's first requests.
const COMPILING_AT_MOST: u64 = 5_000_000;

/// Four take 0.6 to 0.9 ms of a first request of 9 (Spring sample, JDK 25, G1).
const DEOPTIMIZATIONS_AT_MOST: u32 = 8;

impl Trial {
    pub fn is_poor(compiling_ns: u64, deoptimizations: Option<u32>) -> bool {
        compiling_ns > COMPILING_AT_MOST || deoptimizations.is_some_and(|count| count > DEOPTIMIZATIONS_AT_MOST)
    }

    /// By which two images of one JVM are compared.
    pub fn cost(&self) -> u64 {
        self.first_request_ns + self.compiling_ns
    }

    /// In words.
    pub fn line(&self) -> String {
        let milliseconds = |ns: u64| ns as f64 / 1e6;
        let busiest: Vec<String> =
            self.threads.iter().take(5).map(|(name, cpu)| format!("{name} {:.1} ms", milliseconds(*cpu))).collect();
        format!(
            "first request {:.1} ms, later ones {:.1} ms; {} pages written before it and brought in ahead, {} by it and \
             brought in soon after, with {} that it read; {} faults; CPU: {}; compilers for all requests {:.1} ms{}{}",
            milliseconds(self.first_request_ns),
            milliseconds(self.later_request_ns),
            self.pages_before,
            self.pages_by_first_answer,
            self.pages_read_by_first_answer,
            self.faults,
            busiest.join(", "),
            milliseconds(self.compiling_ns),
            self.deoptimizations.map(|count| format!(", {count} methods deoptimized")).unwrap_or_default(),
            if self.poor { ": poor" } else { "" }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_instance_would_do_again_makes_it_poor() {
        let (compiling, deoptimizations) = (COMPILING_AT_MOST, DEOPTIMIZATIONS_AT_MOST);
        assert!(!Trial::is_poor(compiling, None) && !Trial::is_poor(compiling, Some(deoptimizations)));
        assert!(Trial::is_poor(compiling + 1, None) && Trial::is_poor(0, Some(deoptimizations + 1)));
    }
}
