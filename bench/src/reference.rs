//! How fast the machine is just now: the CPU time of a fixed piece of work.
//!
//! A shared virtual machine is a third faster in one minute than in the next. Latency that is seen relative to such work tells
//! when the service became faster, and not the machine.

use crate::clock;
use std::hash::{DefaultHasher, Hasher};
use std::hint::black_box;

/// What is hashed: some ten microseconds of work, from the first-level cache.
const BYTES: usize = 32 << 10;
const EVERY: u64 = 20_000_000;

pub struct Reference {
    bytes: Vec<u8>,
    next: u64,
    last: u64,
}

impl Reference {
    pub fn new() -> Self {
        Self { bytes: vec![0x5a; BYTES], next: 0, last: 0 }
    }

    /// Nanoseconds of CPU time of the work, done anew every 20 ms.
    pub fn now(&mut self) -> u64 {
        let now = clock::now();
        if now >= self.next {
            self.next = now + EVERY;
            let begun = clock::cpu_of_thread();
            let mut hasher = DefaultHasher::new();
            hasher.write(black_box(&self.bytes));
            black_box(hasher.finish());
            self.last = clock::cpu_of_thread() - begun;
        }
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_work_takes_cpu_time_and_is_not_done_for_each_request() {
        let mut reference = Reference::new();
        let first = reference.now();
        assert!(first > 1000, "{BYTES} bytes hashed in {first} ns");
        assert_eq!(reference.now(), first);
    }
}
