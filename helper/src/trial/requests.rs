//! What is asked of a trial's instance: the first address, then all of them again and again.

use super::instance::Instance;
use crate::load::http::Connection;
use crate::load::target::{Manner, Target, Visitor};
use std::time::Instant;

/// Requests after the first ones.
const LATER: usize = 20;

/// Asks for the first address. Nanoseconds from the first byte sent to the last one received.
pub fn first(instance: &Instance, targets: &[Target]) -> Result<u64, String> {
    let target = targets.first().ok_or("there is no address to ask for")?;
    alone(instance, target)
}

/// Asks for each address once, and for some of them again. The median of what that took, in nanoseconds.
pub fn later(instance: &Instance, targets: &[Target]) -> Result<u64, String> {
    let count = LATER.max(targets.len());
    let mut times = targets
        .iter()
        .cycle()
        .skip(1)
        .take(count)
        .map(|target| alone(instance, target))
        .collect::<Result<Vec<_>, _>>()?;
    times.sort_unstable();
    Ok(times.get(count / 2).copied().unwrap_or(0))
}

/// On a connection of its own, which is there before the first byte is sent.
fn alone(instance: &Instance, target: &Target) -> Result<u64, String> {
    let here = here(instance, target)?;
    let mut connection = Connection::open(&here).map_err(|error| failed(target, &error))?;
    ask(&mut connection, &here)
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
    let answer = connection.get(target, Manner::as_written(Visitor::Tool)).map_err(|error| failed(target, &error))?;
    match answer.status {
        0..400 => Ok(begin.elapsed().as_nanos() as u64),
        status => Err(format!("{}: the answer's status is {status}", target.url)),
    }
}

fn failed(target: &Target, error: &std::io::Error) -> String {
    format!("{}: {error}", target.url)
}
