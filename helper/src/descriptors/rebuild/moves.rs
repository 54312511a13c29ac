//! `--listen OLD=NEW`.

use crate::exit::{ExitCode, Failure};
use crate::image::manifest::{Descriptors, Kind};
use std::net::SocketAddr;
use std::str::FromStr;

/// All TCP listeners on port `old` move to `new`; 0 lets the kernel choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortMove {
    pub old: u16,
    pub new: u16,
}

impl FromStr for PortMove {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (old, new) = text.split_once('=')?;
            Some(Self { old: old.parse().ok().filter(|old| *old != 0)?, new: new.parse().ok()? })
        };
        parse().ok_or_else(|| format!("{text:?} is not OLD=NEW, two port numbers (NEW may be 0: the kernel chooses)"))
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortMoves {
    moves: Vec<PortMove>,
}

impl PortMoves {
    pub fn new(moves: Vec<PortMove>) -> Result<Self, Failure> {
        for (index, one) in moves.iter().enumerate() {
            if moves[..index].iter().any(|other| other.old == one.old) {
                let message = format!("--listen names port {} twice; give each port once", one.old);
                return Err(Failure::new(ExitCode::Usage, message));
            }
        }
        Ok(Self { moves })
    }

    /// Where listeners on `old` go, if they move.
    pub(super) fn of(&self, old: u16) -> Option<u16> {
        self.moves.iter().find(|one| one.old == old).map(|one| one.new)
    }

    /// Every port named must be one that the image listens on.
    pub fn check(&self, table: &Descriptors) -> Result<(), Failure> {
        let mut ports: Vec<u16> = table.descriptions.iter().filter_map(|description| port(&description.kind)).collect();
        ports.sort_unstable();
        ports.dedup();
        let Some(unknown) = self.moves.iter().find(|one| !ports.contains(&one.old)) else { return Ok(()) };
        let there_are = match ports.as_slice() {
            [] => "it listens on no TCP port".to_owned(),
            ports => {
                let ports: Vec<_> = ports.iter().map(u16::to_string).collect();
                format!("it listens on {}", ports.join(", "))
            }
        };
        let message = format!("--listen {}={}: the image has no such port; {there_are}", unknown.old, unknown.new);
        Err(Failure::new(ExitCode::Usage, message))
    }
}

fn port(kind: &Kind) -> Option<u16> {
    match kind {
        Kind::TcpListener { address, .. } => address.parse::<SocketAddr>().ok().map(|address| address.port()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::manifest::Description;

    fn listening(addresses: &[&str]) -> Descriptors {
        let listener = |address: &&str| Description {
            flags: 2,
            kind: Kind::TcpListener {
                address: (*address).to_owned(),
                v6only: false,
                options: Default::default(),
                backlog: 50,
            },
        };
        Descriptors { descriptions: addresses.iter().map(listener).collect(), ..Default::default() }
    }

    #[test]
    fn two_numbers_and_an_equals_sign() {
        assert_eq!("8080=0".parse(), Ok(PortMove { old: 8080, new: 0 }));
        for text in ["", "8080", "=1", "8080=", "0=1", "8080=65536", "a=b", "1=2=3", "-1=2"] {
            let error = text.parse::<PortMove>().unwrap_err();
            assert_eq!(error, format!("{text:?} is not OLD=NEW, two port numbers (NEW may be 0: the kernel chooses)"));
        }
    }

    #[test]
    fn a_port_moves_once() {
        let moves = vec![PortMove { old: 80, new: 1 }, PortMove { old: 80, new: 2 }];
        let failure = PortMoves::new(moves).unwrap_err();
        assert_eq!(failure.code, ExitCode::Usage);
        assert_eq!(failure.message, "--listen names port 80 twice; give each port once");
    }

    #[test]
    fn an_unknown_port_lists_those_there_are() {
        let moves = PortMoves::new(vec![PortMove { old: 81, new: 0 }]).unwrap();
        let failure = moves.check(&listening(&["[::]:8080", "127.0.0.1:80", "0.0.0.0:8080"])).unwrap_err();
        assert_eq!(failure.code, ExitCode::Usage);
        assert_eq!(failure.message, "--listen 81=0: the image has no such port; it listens on 80, 8080");
        let failure = moves.check(&listening(&[])).unwrap_err();
        assert_eq!(failure.message, "--listen 81=0: the image has no such port; it listens on no TCP port");
        assert!(moves.check(&listening(&["[::1]:81"])).is_ok());
    }
}
