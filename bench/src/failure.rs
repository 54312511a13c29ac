//! What went wrong, as one message. A measurement that fails ends the run: no round is dropped.

use std::fmt::Display;

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Failure(pub String);

pub type Outcome<T> = Result<T, Failure>;

pub fn fail<T>(message: impl Into<String>) -> Outcome<T> {
    Err(Failure(message.into()))
}

/// Says what was being done when an error came.
pub trait During<T> {
    fn during(self, what: impl Display) -> Outcome<T>;
}

impl<T, E: Display> During<T> for Result<T, E> {
    fn during(self, what: impl Display) -> Outcome<T> {
        self.map_err(|error| Failure(format!("cannot {what}: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_was_being_done() {
        let failure = std::fs::read("/nowhere").during("read the image").unwrap_err();
        assert_eq!(failure.to_string(), "cannot read the image: No such file or directory (os error 2)");
    }
}
