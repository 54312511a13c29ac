//! What the helper asks of a template. A template is one thread without libc: it answers packets on
//! its control socket in order, one reply a request, until `END` or until the socket closes.

pub const UP: u32 = 20;
pub const WRITE: u32 = 21;
pub const PROTECT: u32 = 22;
pub const EQUAL_PAGES: u32 = 23;
pub const END: u32 = 24;

/// Ranges in one `WRITE` request.
pub const RANGES: usize = 256;
/// Pages that one `EQUAL_PAGES` request looks at.
pub const SCAN_PAGES: u64 = 32 * 1024;

crate::plain_struct! {
    /// Template to helper, first message, after it has closed every other descriptor.
    pub struct Up {
        pub kind: u32,
        pub abi_version: u32,
        /// Address and size of the `CaptureRecord` in the template's memory.
        pub record: u64,
        pub record_size: u64,
    }
}

crate::plain_struct! {
    pub struct Range {
        pub address: u64,
        pub length: u64,
        pub offset: u64,
    }
}

crate::plain_struct! {
    /// Helper to template. `WRITE` carries the file to write to as SCM_RIGHTS (one descriptor; the
    /// template closes it again) and `count` ranges: pwrite of memory at `address` to `offset`.
    /// `PROTECT` and `EQUAL_PAGES` use the first range; `protection` is PROT_* bits.
    pub struct Request {
        pub kind: u32,
        pub count: u32,
        pub protection: u64,
        pub ranges: [Range; RANGES],
    }
}

crate::plain_struct! {
    /// Template to helper. `errno` is 0 when all went well; `failed` is the index of the range that did not.
    pub struct Reply {
        pub kind: u32,
        pub errno: i32,
        pub failed: u64,
        /// For `EQUAL_PAGES`: one bit a page, set when the page holds only zero bytes.
        pub zero: [u64; SCAN_PAGES as usize / 64],
        /// ... and when it holds one other byte over and over.
        pub equal: [u64; SCAN_PAGES as usize / 64],
    }
}
