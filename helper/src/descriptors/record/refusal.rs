//! Why a descriptor cannot be carried.

use crate::exit::{ExitCode, Failure};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What the descriptor is, for example "a UDP socket bound to 0.0.0.0:53".
    pub what: String,
    pub remedy: &'static str,
}

impl Refusal {
    pub fn new(what: impl Into<String>, remedy: &'static str) -> Self {
        Self { what: what.into(), remedy }
    }

    pub fn close(what: impl Into<String>) -> Self {
        Self::new(what, "close it before the capture")
    }
}

/// All that was found, so that the user need not try again for each.
#[derive(Default)]
pub struct Refusals {
    found: Vec<(i32, Refusal)>,
}

impl Refusals {
    pub fn add(&mut self, number: i32, refusal: Refusal) {
        self.found.push((number, refusal));
    }

    pub fn into_result(self) -> Result<(), Failure> {
        let Some(((number, first), rest)) = self.found.split_first() else { return Ok(()) };
        let mut message = format!("descriptor {number} cannot be carried: {}; {}", first.what, first.remedy);
        if !rest.is_empty() {
            let rest: Vec<_> = rest.iter().map(|(number, refusal)| format!("{number}: {}", refusal.what)).collect();
            message += &format!(" (nor can {})", rest.join("; "));
        }
        Err(Failure::new(ExitCode::Refused, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_names_all() {
        let mut refusals = Refusals::default();
        refusals.add(7, Refusal::close("a netlink socket"));
        refusals.add(9, Refusal::close("a signalfd"));
        let failure = refusals.into_result().unwrap_err();
        assert_eq!(failure.code, ExitCode::Refused);
        assert_eq!(
            failure.message,
            "descriptor 7 cannot be carried: a netlink socket; close it before the capture (nor can 9: a signalfd)"
        );
    }

    #[test]
    fn nothing_found_is_no_failure() {
        assert!(Refusals::default().into_result().is_ok());
    }
}
