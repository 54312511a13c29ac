//! The conversation between the agent in the JVM and the helper during one capture, over a
//! SOCK_SEQPACKET socket: one message a packet, the first four bytes say which.
//!
//! ```text
//!  agent                          helper
//!   Begin            ──────────►          helper looks at /proc/PID: anything it must refuse?
//!                    ◄──────────  Ready   (with the template's control socket as SCM_RIGHTS)
//!   … suspends, freezes …
//!   Descriptors (1+) ──────────►          (each with up to 250 descriptors as SCM_RIGHTS)
//!   … forks; the template closes its descriptors …
//!                    ◄──────────  Recorded
//!   … thaws, resumes …
//!   Forked           ──────────►          helper talks to the template (see `template`), writes the image
//!                    ◄──────────  Saved, or Kept: the image that is there is better
//! ```
//! At any time the helper may say `Refused` instead, and the agent `Abandoned`: then both let go,
//! the application runs on, and no image is left.

use crate::Text;
use crate::warm::Evidence;

pub const BEGIN: u32 = 1;
pub const READY: u32 = 2;
pub const DESCRIPTORS: u32 = 3;
pub const RECORDED: u32 = 4;
pub const FORKED: u32 = 5;
pub const SAVED: u32 = 6;
pub const REFUSED: u32 = 7;
pub const ABANDONED: u32 = 8;
pub const KEPT: u32 = 9;

/// The kernel's SCM_MAX_FD is 253.
pub const DESCRIPTORS_PER_MESSAGE: usize = 250;

crate::plain_struct! {
    /// Agent to helper: who asks, and for what.
    pub struct Begin {
        pub kind: u32,
        pub abi_version: u32,
        /// The JVM's pid as the JVM sees it (its own pid namespace).
        pub pid: i32,
        /// Mode bits of the image file, 0 for the default 0600.
        pub mode: u32,
        /// How long the JVM may stand still, in nanoseconds.
        pub max_stop: u64,
        /// What the trial of the image that is there has cost (`Saved.cost`): another takes its place only if it costs less. 0: any.
        pub better_than: u64,
        /// How often an image with a poor trial will be taken again after this.
        pub tries_left: u64,
        pub version: Text<32>,
        /// Absolute path of the image to write.
        pub image: Text<4096>,
        /// Absolute path of the agent library, as mapped.
        pub agent: Text<4096>,
        /// Why now, in words.
        pub occasion: Text<512>,
        /// What was done before to bring the JVM to rest, in words.
        pub rest: Text<256>,
        /// Addresses that an instance of the image is to answer before the image gets its name, a line each.
        pub trial: Text<4096>,
        /// What the warm-up detector saw.
        pub evidence: Evidence,
        /// Descriptors of the agent's own that are not part of the application, -1 where unused.
        pub own_descriptors: [i32; 8],
    }
}

crate::plain_struct! {
    /// Agent to helper, all threads frozen: descriptor numbers, the descriptors themselves attached.
    pub struct Descriptors {
        pub kind: u32,
        /// 1 in the last message.
        pub last: u32,
        pub count: u32,
        pub numbers: [i32; DESCRIPTORS_PER_MESSAGE],
    }
}

crate::plain_struct! {
    /// Agent to helper, after the thaw.
    pub struct Forked {
        pub kind: u32,
        /// The template's pid as the JVM sees it.
        pub template_pid: i32,
        /// CLOCK_MONOTONIC when the first application thread was asked to stop, in nanoseconds.
        pub stop_began: u64,
        /// How long application threads stood still, in nanoseconds.
        pub stopped: u64,
    }
}

crate::plain_struct! {
    /// Helper to agent: the image is in place.
    pub struct Saved {
        pub kind: u32,
        /// 1: its trial was poor.
        pub poor: u32,
        /// Nanoseconds that its trial's first requests took and compiled, 0 without one.
        pub cost: u64,
        /// Size of the image file in bytes.
        pub image_size: u64,
        /// From `Forked` to the rename, in nanoseconds.
        pub saving: u64,
        /// Why its trial failed; empty if it did not, or if there was none.
        pub trial_failed: Text<1024>,
    }
}

crate::plain_struct! {
    /// Either way: it ends here, and why.
    pub struct Refused {
        /// `REFUSED`, `ABANDONED`, or `KEPT`.
        pub kind: u32,
        /// The exit code that belongs to it (CONTRACT: 111 to 116).
        pub exit_code: i32,
        pub reason: Text<2040>,
    }
}

crate::plain_struct! {
    /// A message without contents: `READY`, `RECORDED`.
    pub struct Signal {
        pub kind: u32,
        pub spare: u32,
    }
}
