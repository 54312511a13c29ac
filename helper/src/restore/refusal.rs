//! Why an image is not restored. `run` and the agent decide by the reason whether to start the
//! command without it, and whether to replace it (CONTRACT: "Whether to restore").

use crate::exit::{ExitCode, Failure};
use crate::image::error::{ImageError, Problem};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// There is no image.
    Missing,
    /// The image is damaged, was taken by another version, or what it was taken of changed.
    Outdated,
    /// This host lacks something: a CPU feature, a limit, memory.
    HostLacks,
    Untrusted,
    /// Nothing that another image would cure: a port in use, a bad option.
    Error,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub reason: Reason,
    pub failure: Failure,
}

impl Refusal {
    /// What the image was taken of changed.
    pub fn outdated(message: impl Into<String>) -> Self {
        Self { reason: Reason::Outdated, failure: Failure::new(ExitCode::DoesNotFit, message) }
    }

    /// This host is not like the one that the image was taken on.
    pub fn unfit_host(message: impl Into<String>) -> Self {
        Self { reason: Reason::HostLacks, failure: Failure::new(ExitCode::DoesNotFit, message) }
    }

    /// A limit or a resource of this host is too small.
    pub fn resource(message: impl Into<String>) -> Self {
        Self { reason: Reason::HostLacks, failure: Failure::new(ExitCode::HostResource, message) }
    }

    pub fn damaged(message: impl Into<String>) -> Self {
        Self { reason: Reason::Outdated, failure: Failure::new(ExitCode::ImageDamaged, message) }
    }
}

impl From<ImageError> for Refusal {
    fn from(error: ImageError) -> Self {
        let reason = match error.problem {
            Problem::Missing => Reason::Missing,
            Problem::NotReadable(_) | Problem::Owner { .. } | Problem::Mode { .. } => Reason::Untrusted,
            Problem::NotRegular | Problem::ReadFails(_) => Reason::Error,
            _ => Reason::Outdated,
        };
        Self { reason, failure: error.into() }
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self { reason: Reason::Error, failure }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        refusal.failure
    }
}
