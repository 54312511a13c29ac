//! The three clocks of one moment, in nanoseconds.

crate::plain_struct! {
    pub struct Clocks {
        /// CLOCK_MONOTONIC
        pub monotonic: u64,
        /// CLOCK_BOOTTIME
        pub boottime: u64,
        /// CLOCK_REALTIME
        pub realtime: u64,
    }
}
