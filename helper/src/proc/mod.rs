//! Readers of /proc/PID files. Each parser takes the text, so that it can be tested on recorded files.

pub mod auxv;
pub mod compilers;
pub mod fdinfo;
pub mod maps;
pub mod pagemap;
pub mod smaps;
pub mod stat;
pub mod status;
pub mod tcp;

use std::fmt;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// Why a /proc file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum ProcError {
    #[error("cannot read {path}: {error}")]
    Read { path: PathBuf, error: io::Error },
    #[error("cannot understand {path}: {what}")]
    Parse { path: PathBuf, what: String },
}

/// A file of one process's /proc directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process(pub i32);

impl Process {
    pub fn path(self, name: impl fmt::Display) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.0))
    }

    pub fn read(self, name: impl fmt::Display) -> Result<Vec<u8>, ProcError> {
        let path = self.path(name);
        std::fs::read(&path).map_err(|error| ProcError::Read { path, error })
    }

    /// Reads a file and parses it; a parser's complaint gets the file's name.
    pub fn parse<T>(self, name: &str, parser: impl FnOnce(&[u8]) -> Result<T, String>) -> Result<T, ProcError> {
        let bytes = self.read(name)?;
        parser(&bytes).map_err(|what| ProcError::Parse { path: self.path(name), what })
    }

    /// The four bytes at an address of its memory.
    pub fn word(self, address: u64) -> Result<u32, ProcError> {
        let path = self.path("mem");
        let mut word = [0; 4];
        let read = std::fs::File::open(&path).and_then(|memory| memory.read_exact_at(&mut word, address));
        read.map(|()| u32::from_ne_bytes(word)).map_err(|error| ProcError::Read { path, error })
    }

    /// The NUL-separated strings of `cmdline` or `environ`.
    pub fn strings(self, name: &str) -> Result<Vec<Vec<u8>>, ProcError> {
        let bytes = self.read(name)?;
        let text = bytes.strip_suffix(b"\0").unwrap_or(&bytes);
        if text.is_empty() {
            return Ok(Vec::new());
        }
        Ok(text.split(|&byte| byte == 0).map(<[u8]>::to_vec).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_process_is_named() {
        let error = Process(0).read("maps").unwrap_err().to_string();
        assert!(error.starts_with("cannot read /proc/0/maps: "), "{error}");
    }

    #[test]
    fn a_word_of_memory_is_read() {
        let (own, word) = (Process(std::process::id() as i32), Box::new(0x1234_5678u32));
        assert_eq!(own.word(&raw const *word as u64).unwrap(), 0x1234_5678);
        let error = own.word(8).unwrap_err().to_string();
        assert!(error.starts_with("cannot read /proc/"), "{error}");
    }

    #[test]
    fn own_command_line_has_the_test_program() {
        let words = Process(std::process::id() as i32).strings("cmdline").unwrap();
        assert!(!words[0].is_empty());
    }
}
