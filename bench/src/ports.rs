//! Free ports below the kernel's ephemeral range: there a client that tries a port nobody listens on
//! yet can never meet itself.

use crate::failure::{Outcome, fail};
use std::net::{Ipv6Addr, TcpListener};

const FIRST: u16 = 10_000;
const COUNT: u16 = 12_000;

/// Hands out each port once.
pub struct Ports {
    next: u16,
}

impl Ports {
    pub fn new() -> Self {
        Self { next: (std::process::id() % u32::from(COUNT)) as u16 }
    }

    pub fn free(&mut self) -> Outcome<u16> {
        for _ in 0..COUNT {
            let port = FIRST + self.next;
            self.next = (self.next + 1) % COUNT;
            if is_free(port) {
                return Ok(port);
            }
        }
        fail(format!("no port from {FIRST} to {} is free", FIRST + COUNT - 1))
    }
}

/// Whether a server could listen there now.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).is_ok()
        && TcpListener::bind((std::net::Ipv4Addr::UNSPECIFIED, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_differ_and_are_low() {
        let mut ports = Ports::new();
        let (one, two) = (ports.free().unwrap(), ports.free().unwrap());
        assert!(one != two && one < 32_768 && two < 32_768);
    }
}
