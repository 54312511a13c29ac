//! How often collectors have begun and ended to mark, as the code cache counts it: with each begin all compiled code is armed, and the
//! next call of each method writes to it. libjvm's symbol table tells the place, from JDK 20 on; before, G1, Serial and Parallel armed nothing.
//!
//! # Safety contract of this file
//! Reads an aligned static of libjvm.
#![allow(unsafe_code)]

use super::symbols;

/// A uint64_t.
const CYCLES: &[u8] = b"_ZN9CodeCache9_gc_epochE";

pub struct Marking {
    place: u64,
    noted: u64,
}

impl Marking {
    /// Of the libjvm that is mapped here.
    pub fn find_in_this_process() -> Option<Self> {
        let [place] = symbols::find(&super::maps().ok()?, [CYCLES]);
        let mut marking = Self { place: place?, noted: 0 };
        marking.note();
        Some(marking)
    }

    pub fn note(&mut self) {
        self.noted = self.count();
    }

    /// Whether one has begun or ended since `note`.
    pub fn has_moved(&self) -> bool {
        self.count() != self.noted
    }

    fn count(&self) -> u64 {
        // SAFETY: a static uint64_t of libjvm, which collectors write at any time.
        unsafe { (self.place as *const u64).read_volatile() }
    }
}
