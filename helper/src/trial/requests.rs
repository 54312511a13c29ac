//! What is asked of a trial's instance: each address once, then all of them again and again.

use super::instance::Instance;
use crate::load::http::{Connection, Target};
use std::time::Instant;

/// Requests after the first ones.
const LATER: usize = 20;

/// Asks for each address once, each over a connection of its own. Nanoseconds from the first byte sent to the last one
/// received, of the first request of all.
pub fn first(instance: &Instance, targets: &[Target]) -> Result<u64, String> {
    let mut first = None;
    for target in targets {
        let here = here(instance, target)?;
        let mut connection = Connection::open(&here).map_err(|error| failed(target, &error))?;
        let took = ask(&mut connection, &here)?;
        first.get_or_insert(took);
    }
    first.ok_or_else(|| "there is no address to ask for".into())
}

/// The median of what later requests took, in nanoseconds.
pub fn later(instance: &Instance, targets: &[Target]) -> Result<u64, String> {
    let mut times = Vec::with_capacity(LATER);
    for target in targets.iter().cycle().take(LATER) {
        let here = here(instance, target)?;
        let mut connection = Connection::open(&here).map_err(|error| failed(target, &error))?;
        times.push(ask(&mut connection, &here)?);
    }
    times.sort_unstable();
    Ok(times.get(LATER / 2).copied().unwrap_or(0))
}

/// The same address where the instance listens.
fn here(instance: &Instance, target: &Target) -> Result<Target, String> {
    match instance.address(target.port) {
        Some(address) => Ok(target.at(address)),
        None => Err(format!("{}: the application does not listen on port {}", target.url, target.port)),
    }
}

fn ask(connection: &mut Connection, target: &Target) -> Result<u64, String> {
    let begin = Instant::now();
    let answer = connection.get(target).map_err(|error| failed(target, &error))?;
    match answer.status {
        0..400 => Ok(begin.elapsed().as_nanos() as u64),
        status => Err(format!("{}: the answer's status is {status}", target.url)),
    }
}

fn failed(target: &Target, error: &std::io::Error) -> String {
    format!("{}: {error}", target.url)
}
