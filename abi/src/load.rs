//! A training load: what `--load` and the agent option `load=` may say, and the words that the agent and the process that
//! drives the load exchange, over a SOCK_SEQPACKET socket, one a packet.
//!
//! ```text
//!  agent                        driver (`hotfork drive-load`)
//!   PAUSE           ──────────►         addresses have their answers, if these come within
//!                                       a second, and no connections; a command is stopped
//!                   ◄──────────  PAUSED
//!   RESUME          ──────────►         it goes on
//!   END             ──────────►         it ends
//!                   ◄──────────  anything else is a line for the user
//! ```
//! The end of the socket, whoever closes it, ends the load.

pub const PAUSE: &[u8] = b"pause";
pub const RESUME: &[u8] = b"resume";
pub const END: &[u8] = b"end";
pub const PAUSED: &[u8] = b"paused";

/// A line for the user is not longer.
pub const LINE_AT_MOST: usize = 4096;

/// Whether a load is an address to ask, and not a command.
pub fn is_url(load: &str) -> bool {
    load.starts_with("http://")
}

/// What is wrong with these loads together.
pub fn check<'a>(loads: impl Iterator<Item = &'a str> + Clone) -> Result<(), &'static str> {
    if loads.clone().any(|load| load.trim().is_empty()) {
        return Err("a load is a command, or the address of a page such as http://localhost:8080/");
    }
    if loads.clone().any(|load| load.starts_with("https://")) {
        return Err(
            "the built-in load speaks no TLS: name a command that asks the https:// address, such as a loop of curl",
        );
    }
    let commands = loads.clone().filter(|load| !is_url(load)).count();
    match (commands, loads.count() - commands) {
        (0, _) | (1, 0) => Ok(()),
        (1, _) => Err("a command and addresses do not go together: let the command ask for all of them"),
        _ => Err("there can be one command only: join several by & and wait, or put them into a script"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(loads: &[&'static str]) -> &'static str {
        check(loads.iter().copied()).unwrap_err()
    }

    #[test]
    fn one_command_or_several_addresses() {
        for right in [&[][..], &["wrk -d 60 http://localhost:8080/"], &["http://localhost:1/"; 3]] {
            assert_eq!(check(right.iter().copied()), Ok(()), "{right:?}");
        }
        assert!(wrong(&["http://localhost/", "https://localhost/"]).contains("no TLS"));
        assert!(wrong(&["a", "http://localhost/"]).contains("do not go together"));
        assert!(wrong(&["a", "b"]).contains("one command only"));
        assert!(wrong(&[" "]).contains("a load is a command"));
    }
}
