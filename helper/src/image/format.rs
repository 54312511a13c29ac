//! Layout of an image file.
//!
//! ```text
//!  0            Header, one page
//!  PAGES_START  pages            page-aligned, as the map operations name them; dense
//!  operations   MapOperation[]   page-aligned: mapped and used as it is
//!  manifest     postcard         what the restore checks and rebuilds before it maps
//!  chunks       [u8; 32][]       BLAKE3 of each CHUNK bytes of the pages (the last may be shorter)
//! ```
//! The header's digest covers the header (with the digest itself zeroed) and everything behind the
//! pages. The header is written last, so an unfinished file is never taken for an image.

use hotfork_abi::plain_struct;

pub const MAGIC: [u8; 8] = *b"HOTFORK\0";
/// One integer; another version says "take it again".
pub const FORMAT_VERSION: u32 = 8;
/// Large folios want file offsets that are aligned well.
pub const PAGES_START: u64 = 64 * 1024;
pub const CHUNK: u64 = 1024 * 1024;

/// Limits that a sane image stays within, checked before anything is allocated.
pub const MAX_OPERATIONS: u64 = 1 << 20;
pub const MAX_MANIFEST: u64 = 64 << 20;

/// XXH3, 128 bits.
pub type TableDigest = [u8; 16];

plain_struct! {
    pub struct Header {
        pub magic: [u8; 8],
        pub format_version: u32,
        pub abi_version: u32,
        pub digest: TableDigest,
        pub file_length: u64,
        pub pages_offset: u64,
        pub pages_length: u64,
        pub operations_offset: u64,
        pub operation_count: u64,
        pub manifest_offset: u64,
        pub manifest_length: u64,
        pub chunks_offset: u64,
        pub chunk_count: u64,
    }
}
