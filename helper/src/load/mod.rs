//! The training load of `run --load`, driven by a process beside the JVM.
//!
//! ```text
//!  driver      from the first look at the JVM to the end, as the agent says
//!  listening   whether the application listens yet
//!  urls        the built-in load: addresses, asked for in a closed loop
//!  ports       how soon a connection may be left for a new one
//!  http        one connection of it
//!  command     a load that is somebody else's program
//! ```
mod agent;
mod command;
pub mod driver;
pub mod http;
mod listening;
mod ports;
pub mod target;
mod urls;

use hotfork_abi::load::is_url;

/// What is wrong with the values of `--load`.
pub fn check(loads: &[String]) -> Result<(), String> {
    hotfork_abi::load::check(loads.iter().map(String::as_str))?;
    loads.iter().filter(|load| is_url(load)).try_for_each(|url| target::Target::parse(url).map(drop))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_looked_at() {
        assert_eq!(check(&["http://localhost:8080/a?b=c".into(), "http://[::1]".into()]), Ok(()));
        assert_eq!(check(&["curl http://localhost:x/".into()]), Ok(()));
        assert!(check(&["http://localhost:x/".into()]).unwrap_err().contains("http://localhost:x/"));
        assert!(check(&["https://localhost/".into()]).unwrap_err().contains("no TLS"));
    }
}
