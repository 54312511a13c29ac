//! What HotSpot's compilers have before them. Neither vmStructs nor a performance counter tells; libjvm's symbol table
//! does, where it was not stripped.
//!
//! # Safety contract of this file
//! Reads an int and two pointers at their symbols' addresses, and an int of what the pointers point to: queues are made at
//! VM start and live as long as the JVM.
#![allow(unsafe_code)]

use super::symbols;
use super::vmstructs::read;

const QUEUES: [&[u8]; 2] = [b"_ZN13CompileBroker17_c1_compile_queueE", b"_ZN13CompileBroker17_c2_compile_queueE"];
/// `RUN`, 0 while the code cache is full, 2 when compilers were shut down for good.
const COMPILES: &[u8] = b"_ZN13CompileBroker24_should_compile_new_jobsE";
const RUN: i32 = 1;
/// `CompileQueue::_size`, at the same place in 17, 21 and 25.
const SIZE_AT: u64 = 32;
/// No queue is longer; something else lies there.
const SIZE_AT_MOST: u32 = 1_000_000;

pub struct Compilers {
    /// Addresses of the pointers to the queues.
    queues: [u64; 2],
    compiles: u64,
}

impl Compilers {
    /// Of the libjvm that is mapped here.
    pub fn find_in_this_process() -> Option<Self> {
        let [c1, c2, compiles] = symbols::find(&super::maps().ok()?, [QUEUES[0], QUEUES[1], COMPILES]);
        Some(Self { queues: [c1?, c2?], compiles: compiles? })
    }

    /// How many methods wait; `None` where what lies there cannot be a queue's length.
    pub fn waiting(&self) -> Option<u32> {
        self.queues.iter().try_fold(0, |sum: u32, &place| {
            // SAFETY: a static pointer of libjvm, null where this JVM has no such compiler, else to its queue.
            let size = unsafe {
                match read(place) {
                    0 => 0,
                    queue => *((queue + SIZE_AT) as *const u32),
                }
            };
            (size <= SIZE_AT_MOST).then_some(sum + size)
        })
    }

    /// Whether compilation was stopped because the code cache is full.
    pub fn stopped(&self) -> bool {
        // SAFETY: a static int of libjvm.
        unsafe { *(self.compiles as *const i32) != RUN }
    }
}
