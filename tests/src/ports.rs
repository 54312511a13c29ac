//! Ports for the subjects: below the kernel's ephemeral range, one owner each on the whole machine.

use crate::{During, Outcome};
use std::net::{Ipv4Addr, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::atomic::{AtomicU16, Ordering};

const FIRST: u16 = 22_000;
const COUNT: u16 = 8_000;
static NEXT: AtomicU16 = AtomicU16::new(0);

/// A port that no other test run uses as long as this is held.
pub struct Port {
    pub number: u16,
    /// An abstract address, which the kernel lets one process have and forgets with it.
    _claim: UnixListener,
}

pub fn claim() -> Outcome<Port> {
    let start = std::process::id() as u16 % COUNT;
    for _ in 0..COUNT {
        let number = FIRST + (start + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT) % COUNT;
        let name = SocketAddr::from_abstract_name(format!("hotfork-test-port-{number}")).during("name a port")?;
        let Ok(claim) = UnixListener::bind_addr(&name) else { continue };
        if TcpListener::bind((Ipv4Addr::UNSPECIFIED, number)).is_ok() {
            return Ok(Port { number, _claim: claim });
        }
    }
    Err(format!("no port is free from {FIRST} to {}", FIRST + COUNT - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_claims_differ_and_are_low() {
        let (one, two) = (claim().unwrap(), claim().unwrap());
        assert_ne!(one.number, two.number);
        assert!(one.number < 32_768 && two.number < 32_768);
    }
}
