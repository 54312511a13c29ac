//! Digests of an image: one over the header and everything behind the pages, one for each chunk of
//! the pages. Used by whoever writes an image and by whoever reads one. They find damage; whether an image can be
//! trusted is its owner's and mode's matter (`trust`).

use super::format::{CHUNK, Header, TableDigest};
use hotfork_abi::Plain;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use xxhash_rust::xxh3::Xxh3Default;

/// BLAKE3.
pub type Digest = [u8; 32];

/// The header's digest: XXH3 of the header with its digest zeroed, then of `tail`, the bytes of the file from
/// the end of the pages (`pages_offset + pages_length`) to the end of the file. Not BLAKE3, whose detection of the
/// CPU's features costs every restore a dozen CPUID instructions: 0.14 ms where each traps into two hypervisors.
pub fn of_header_and_tail(header: &Header, tail: &[u8]) -> TableDigest {
    let mut blank = *header;
    blank.digest = TableDigest::default();
    let mut hasher = Xxh3Default::new();
    hasher.update(blank.as_bytes());
    hasher.update(tail);
    hasher.digest128().to_le_bytes()
}

/// How many chunks `pages_length` bytes of pages have.
pub const fn chunk_count(pages_length: u64) -> u64 {
    pages_length.div_ceil(CHUNK)
}

/// Calls `each` with the number and the digest of every chunk of the pages, in order, until it says
/// to stop by returning false.
pub fn for_each_chunk(
    file: &File,
    pages_offset: u64,
    pages_length: u64,
    mut each: impl FnMut(u64, Digest) -> bool,
) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK as usize];
    for chunk in 0..chunk_count(pages_length) {
        let start = chunk * CHUNK;
        let length = CHUNK.min(pages_length - start) as usize;
        file.read_exact_at(&mut buffer[..length], pages_offset + start)?;
        if !each(chunk, *blake3::hash(&buffer[..length]).as_bytes()) {
            break;
        }
    }
    Ok(())
}

/// The digests of all chunks, as the image stores them.
pub fn chunk_digests(file: &File, pages_offset: u64, pages_length: u64) -> io::Result<Vec<Digest>> {
    let mut digests = Vec::with_capacity(chunk_count(pages_length) as usize);
    for_each_chunk(file, pages_offset, pages_length, |_, digest| {
        digests.push(digest);
        true
    })?;
    Ok(digests)
}

/// BLAKE3 of a whole file.
pub fn of_file(file: &File) -> io::Result<Digest> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; CHUNK as usize];
    let mut offset = 0;
    loop {
        match file.read_at(&mut buffer, offset) {
            Ok(0) => return Ok(*hasher.finalize().as_bytes()),
            Ok(length) => {
                hasher.update(&buffer[..length]);
                offset += length as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_does_not_cover_itself_but_all_else() {
        let header = Header::zeroed();
        let digest = of_header_and_tail(&header, b"tail");
        assert_eq!(digest, of_header_and_tail(&Header { digest, ..header }, b"tail"));
        assert_ne!(digest, of_header_and_tail(&header, b"tale"));
        assert_ne!(digest, of_header_and_tail(&Header { chunk_count: 1, ..header }, b"tail"));
    }

    #[test]
    fn the_last_chunk_may_be_short() {
        assert_eq!(chunk_count(0), 0);
        assert_eq!(chunk_count(CHUNK), 1);
        assert_eq!(chunk_count(CHUNK + 1), 2);
    }
}
