//! What the end-to-end tests are made of: JDKs, processes whose output is watched, subjects,
//! instances. Every process that is started here ends with its guard.
#![deny(unsafe_code)]

pub mod build;
pub mod hotfork;
pub mod http;
pub mod interrupt;
pub mod jdk;
pub mod matrix;
pub mod ports;
pub mod proc;
pub mod process;
pub mod remains;
pub mod scratch;
pub mod skip;
pub mod stream;
pub mod stripped;
pub mod subject;
pub mod time_namespace;
pub mod wait;
pub mod write_execute;

/// What a test or a step of one comes to: a failure says all there is to know.
pub type Outcome<T = ()> = Result<T, String>;

/// Fails the test unless the condition holds.
#[macro_export]
macro_rules! ensure {
    ($condition:expr, $($why:tt)+) => {
        if !$condition {
            return Err(format!($($why)+));
        }
    };
}

/// Fails the test when the two differ, and shows both.
#[macro_export]
macro_rules! ensure_eq {
    ($found:expr, $wanted:expr, $($what:tt)+) => {
        match (&$found, &$wanted) {
            (found, wanted) if *found == *wanted => {}
            (found, wanted) => {
                return Err(format!("{}: found {found:?}, wanted {wanted:?}", format_args!($($what)+)));
            }
        }
    };
}

/// Turns an error into a failure that says what was tried.
pub trait During<T> {
    fn during(self, what: impl std::fmt::Display) -> Outcome<T>;
}

impl<T, E: std::fmt::Display> During<T> for Result<T, E> {
    fn during(self, what: impl std::fmt::Display) -> Outcome<T> {
        self.map_err(|error| format!("{what}: {error}"))
    }
}
