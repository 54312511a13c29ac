//! Why an image cannot be used, before its contents are compared with the host.

use super::format::FORMAT_VERSION;
use crate::exit::{ExitCode, Failure};
use std::io;
use std::path::PathBuf;
use thiserror::Error;

#[derive(Debug, Error)]
#[error("image {}: {problem}", path.display())]
pub struct ImageError {
    pub path: PathBuf,
    pub problem: Problem,
}

#[derive(Debug, Error)]
pub enum Problem {
    #[error("there is no such file; take it with `hotfork run` or `hotfork snapshot`")]
    Missing,
    #[error("cannot be opened: {0}; restore as its owner, or take it with --mode")]
    NotReadable(io::Error),
    #[error("reading fails: {0}; look at the disk, or take the image again")]
    ReadFails(io::Error),
    #[error("is not a regular file; name a file that hotfork wrote")]
    NotRegular,
    #[error(
        "belongs to uid {owner}, which is neither root nor uid {own}; add --trust-owner {owner} if you trust that user"
    )]
    Owner { owner: u32, own: u32 },
    #[error(
        "may be written by group or others (mode {mode:04o}); run chmod go-w on it if nobody else can have changed it"
    )]
    Mode { mode: u32 },
    #[error("is empty; take it again")]
    Empty,
    #[error("is not a Hotfork image, or one that was never finished; take it again")]
    Foreign,
    #[error("has format {found}, this hotfork reads format {FORMAT_VERSION}; take it again")]
    Version { found: u32 },
    #[error("was written by another build of hotfork (interface {found}, here {here}); take it again")]
    Interface { found: u32, here: u32 },
    #[error("is cut short or was appended to: {actual} bytes, {expected} were written; take it again")]
    Length { actual: u64, expected: u64 },
    #[error("is damaged: {0}; take it again")]
    Damaged(&'static str),
    #[error(
        "is damaged: {bad} of {all} chunks of its pages are not as written, the first at offset {first:#x}; take it again"
    )]
    Pages { bad: u64, all: u64, first: u64 },
}

impl ImageError {
    pub fn exit_code(&self) -> ExitCode {
        match self.problem {
            Problem::Missing => ExitCode::Usage,
            Problem::NotReadable(_) | Problem::Owner { .. } | Problem::Mode { .. } => ExitCode::Untrusted,
            Problem::Version { .. } | Problem::Interface { .. } => ExitCode::DoesNotFit,
            _ => ExitCode::ImageDamaged,
        }
    }
}

impl From<ImageError> for Failure {
    fn from(error: ImageError) -> Self {
        Failure::new(error.exit_code(), error.to_string())
    }
}
