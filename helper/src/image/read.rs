//! Opens an image and believes nothing: owner and mode, magic, version, lengths, the digest over
//! header and tables, and only then the manifest.

use super::checksum::{self, Digest};
use super::error::{ImageError, Problem};
use super::format::{FORMAT_VERSION, Header, MAGIC, MAX_MANIFEST, MAX_OPERATIONS, PAGES_START};
use super::manifest::Manifest;
use super::tail::Tail;
use super::trust;
use hotfork_abi::restore::MapOperation;
use hotfork_abi::{ABI_VERSION, PAGE, Plain};
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

pub struct Image {
    pub path: PathBuf,
    pub file: File,
    pub metadata: Metadata,
    pub header: Header,
    pub manifest: Manifest,
    pub tail: Tail,
}

impl Image {
    /// Opens and checks everything but the pages. `trusted` is a further uid whose images are welcome.
    pub fn open(path: &Path, trusted: Option<u32>) -> Result<Self, ImageError> {
        open(path, trusted).map_err(|problem| ImageError { path: path.to_owned(), problem })
    }

    pub fn operations(&self) -> &[MapOperation] {
        self.tail.operations()
    }

    /// Compares the digest of every chunk of the pages: reads the whole file.
    pub fn verify_pages(&self) -> Result<(), ImageError> {
        let start = (self.header.chunks_offset - self.header.operations_offset) as usize;
        let expected = self.tail.bytes()[start..].chunks_exact(size_of::<Digest>());
        let mut expected = expected.take(self.header.chunk_count as usize);
        let (mut bad, mut first) = (0, 0);
        let offset = self.header.pages_offset;
        let read = checksum::for_each_chunk(&self.file, offset, self.header.pages_length, |chunk, digest| {
            if expected.next() != Some(&digest[..]) {
                if bad == 0 {
                    first = offset + chunk * super::format::CHUNK;
                }
                bad += 1;
            }
            true
        });
        let problem = match read {
            Err(error) => Problem::ReadFails(error),
            Ok(()) if bad > 0 => Problem::Pages { bad, all: self.header.chunk_count, first },
            Ok(()) => return Ok(()),
        };
        Err(ImageError { path: self.path.clone(), problem })
    }
}

fn open(path: &Path, trusted: Option<u32>) -> Result<Image, Problem> {
    // Non-blocking, so that a FIFO of that name is refused and not waited for.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path);
    let file = file.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Problem::Missing,
        _ => Problem::NotReadable(error),
    })?;
    let metadata = file.metadata().map_err(Problem::ReadFails)?;
    if !metadata.is_file() {
        return Err(Problem::NotRegular);
    }
    trust::check(metadata.uid(), metadata.mode(), nix::unistd::geteuid().as_raw(), trusted)?;
    let header = read_header(&file, metadata.len())?;
    let tail_length = header.file_length - header.operations_offset;
    let tail =
        Tail::map(&file, header.operations_offset, tail_length, header.operation_count).map_err(Problem::ReadFails)?;
    if checksum::of_header_and_tail(&header, tail.bytes()) != header.digest {
        return Err(Problem::Damaged("header or tables do not have the digest that was written"));
    }
    let start = (header.manifest_offset - header.operations_offset) as usize;
    let manifest = &tail.bytes()[start..start + header.manifest_length as usize];
    let manifest = postcard::from_bytes(manifest).map_err(|_| Problem::Damaged("its manifest cannot be read"))?;
    Ok(Image { path: path.to_owned(), file, metadata, header, manifest, tail })
}

fn read_header(file: &File, length: u64) -> Result<Header, Problem> {
    if length == 0 {
        return Err(Problem::Empty);
    }
    let mut header = Header::zeroed();
    match file.read_exact_at(header.as_bytes_mut(), 0) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(Problem::Foreign),
        Err(error) => return Err(Problem::ReadFails(error)),
    }
    check_header(&header, length)?;
    Ok(header)
}

/// Everything about the header that can be judged without reading further.
fn check_header(header: &Header, length: u64) -> Result<(), Problem> {
    if header.magic != MAGIC {
        return Err(Problem::Foreign);
    }
    if header.format_version != FORMAT_VERSION {
        return Err(Problem::Version { found: header.format_version });
    }
    if header.abi_version != ABI_VERSION {
        return Err(Problem::Interface { found: header.abi_version, here: ABI_VERSION });
    }
    if header.file_length != length {
        return Err(Problem::Length { actual: length, expected: header.file_length });
    }
    if header.operation_count > MAX_OPERATIONS || header.manifest_length > MAX_MANIFEST {
        return Err(Problem::Damaged("its tables are larger than any image's"));
    }
    let end = |offset: u64, size: u64| offset.checked_add(size).filter(|&end| end <= length);
    let sections = (|| {
        let pages = end(header.pages_offset, header.pages_length)?;
        let operations = end(header.operations_offset, header.operation_count * size_of::<MapOperation>() as u64)?;
        let manifest = end(header.manifest_offset, header.manifest_length)?;
        let chunk_bytes = header.chunk_count.checked_mul(size_of::<Digest>() as u64)?;
        end(header.chunks_offset, chunk_bytes)?;
        let ordered = header.pages_offset >= PAGES_START
            && pages == header.operations_offset
            && operations <= header.manifest_offset
            && manifest <= header.chunks_offset;
        let aligned =
            header.pages_offset % PAGE == 0 && header.pages_length % PAGE == 0 && header.operations_offset % PAGE == 0;
        let whole = header.operation_count > 0
            && header.manifest_length > 0
            && header.chunk_count == checksum::chunk_count(header.pages_length);
        (ordered && aligned && whole).then_some(())
    })();
    sections.ok_or(Problem::Damaged("its header names sections that are not there"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: u64 = PAGES_START + 2 * PAGE;

    fn header() -> Header {
        Header {
            magic: MAGIC,
            format_version: FORMAT_VERSION,
            abi_version: ABI_VERSION,
            digest: [0; 16],
            file_length: LENGTH,
            pages_offset: PAGES_START,
            pages_length: PAGE,
            operations_offset: PAGES_START + PAGE,
            operation_count: 1,
            manifest_offset: PAGES_START + PAGE + 40,
            manifest_length: 100,
            chunks_offset: PAGES_START + PAGE + 140,
            chunk_count: 1,
        }
    }

    fn refusal(change: impl FnOnce(&mut Header)) -> String {
        let mut header = header();
        change(&mut header);
        check_header(&header, LENGTH).unwrap_err().to_string()
    }

    #[test]
    fn a_sound_header_passes() {
        check_header(&header(), LENGTH).unwrap();
    }

    #[test]
    fn each_wrong_header_is_told_apart() {
        assert!(refusal(|h| h.magic = *b"ELFELFEL").starts_with("is not a Hotfork image"));
        let wanted = format!("has format 99, this hotfork reads format {FORMAT_VERSION}; take it again");
        assert_eq!(refusal(|h| h.format_version = 99), wanted);
        assert!(refusal(|h| h.abi_version += 1).starts_with("was written by another build of hotfork"));
        assert!(refusal(|h| h.file_length += 1).starts_with("is cut short or was appended to"));
        assert!(refusal(|h| h.operation_count = u64::MAX).contains("larger than any image's"));
        assert!(refusal(|h| h.manifest_length = MAX_MANIFEST + 1).contains("larger than any image's"));
    }

    #[test]
    fn sections_outside_of_the_file_or_out_of_order_are_refused() {
        let changes: [fn(&mut Header); 12] = [
            |h| h.pages_offset = 0,
            |h| h.pages_offset += 1,
            |h| h.pages_length = u64::MAX - 10,
            |h| h.pages_length += 1,
            |h| h.operations_offset += PAGE,
            |h| h.operations_offset -= PAGE,
            |h| h.operation_count = 0,
            |h| h.manifest_offset -= 1,
            |h| h.manifest_length = 0,
            |h| h.manifest_length += 1,
            |h| h.chunks_offset = LENGTH,
            |h| h.chunk_count = u64::MAX,
        ];
        for (index, change) in changes.into_iter().enumerate() {
            assert!(refusal(change).contains("sections that are not there"), "change {index}");
        }
    }
}
