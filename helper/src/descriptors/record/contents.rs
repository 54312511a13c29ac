//! Contents of files that go into the image whole.

use crate::exit::{ExitCode, Failure};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// What may be copied while the JVM stands still.
pub const COPY_AT_MOST: u64 = 4 << 20;
/// The step in which contents are written to the image.
const STEP: usize = 1 << 20;

pub enum Contents {
    /// A description of our own, open for reading only: read after the thaw.
    File { path: PathBuf, file: File, length: u64 },
    /// Read while the JVM was frozen, because it may go on writing to the file.
    Bytes(Vec<u8>),
}

impl Contents {
    /// `copy` reads now, which must not be more than [`COPY_AT_MOST`].
    pub fn take(duplicate: &OwnedFd, path: PathBuf, length: u64, copy: bool) -> io::Result<Self> {
        let file = File::open(format!("/proc/self/fd/{}", duplicate.as_raw_fd()))?;
        if !copy {
            return Ok(Self::File { path, file, length });
        }
        let mut bytes = vec![0; length as usize];
        file.read_exact_at(&mut bytes, 0)?;
        Ok(Self::Bytes(bytes))
    }

    pub fn length(&self) -> u64 {
        match self {
            Self::File { length, .. } => *length,
            Self::Bytes(bytes) => bytes.len() as u64,
        }
    }

    /// Writes them all to `image`, from `offset` on.
    pub fn write_to(&self, image: &File, offset: u64) -> Result<(), Failure> {
        let failed = |what: &str, error: io::Error| {
            Failure::new(ExitCode::SaveFailed, format!("cannot {what}: {error}; take the image again"))
        };
        match self {
            Self::Bytes(bytes) => {
                image.write_all_at(bytes, offset).map_err(|error| failed("write a carried file to the image", error))
            }
            Self::File { path, file, length } => {
                let mut buffer = vec![0; STEP.min(*length as usize)];
                let mut done = 0;
                while done < *length {
                    let step = buffer.len().min((*length - done) as usize);
                    file.read_exact_at(&mut buffer[..step], done)
                        .map_err(|error| failed(&format!("read {}, which the image carries", path.display()), error))?;
                    image
                        .write_all_at(&buffer[..step], offset + done)
                        .map_err(|error| failed(&format!("write {} to the image", path.display()), error))?;
                    done += step as u64;
                }
                Ok(())
            }
        }
    }
}
