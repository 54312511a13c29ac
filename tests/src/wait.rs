//! Waiting for what other processes do: polled, with a deadline that is a failure.

use crate::Outcome;
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(5);

/// Waits until `look` finds something.
pub fn until_some<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> Outcome<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return Ok(found);
        }
        if Instant::now() > deadline {
            return Err(format!("waited {limit:?} in vain until {what}"));
        }
        std::thread::sleep(POLL);
    }
}

pub fn until(limit: Duration, what: &str, mut holds: impl FnMut() -> bool) -> Outcome {
    until_some(limit, what, || holds().then_some(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_both_ways() {
        let mut left = 3;
        assert_eq!(
            until(Duration::from_secs(5), "it counts down", || {
                left -= 1;
                left == 0
            }),
            Ok(())
        );
        let failure = until(Duration::from_millis(1), "pigs fly", || false).unwrap_err();
        assert_eq!(failure, "waited 1ms in vain until pigs fly");
    }
}
