//! What a request costs in the warmed JVM just before the capture: alone, on the two kinds of connection.

use crate::failure::Outcome;
use crate::first_response::requests;
use crate::http::Connection;
use crate::sample::Sample;
use serde::Serialize;

/// The two kinds take turns: a JVM that has rested may still become faster.
const TURNS: usize = 2;
/// In each turn. Tomcat closes a connection with the hundredth.
const KEPT_ALIVE: usize = 100;
const NEW: usize = 50;

/// Nanoseconds of each request: first byte sent to last byte received.
#[derive(Serialize)]
pub struct Steady {
    /// The only request of a new connection.
    pub new_connection: Vec<u64>,
    /// One after the other on kept-alive connections.
    pub kept_alive: Vec<u64>,
}

pub fn measure(sample: &Sample, port: u16, body: &[u8]) -> Outcome<Steady> {
    let mut steady = Steady { new_connection: Vec::new(), kept_alive: Vec::new() };
    for _ in 0..TURNS {
        steady.kept_alive.extend(requests(&mut Connection::open(port)?, sample.measured, body, KEPT_ALIVE)?);
        for _ in 0..NEW {
            steady.new_connection.push(on_new_connection(sample, port, body)?);
        }
    }
    Ok(steady)
}

/// The connection is there before the first byte is sent.
pub fn on_new_connection(sample: &Sample, port: u16, body: &[u8]) -> Outcome<u64> {
    Ok(requests(&mut Connection::open(port)?, sample.measured, body, 1)?[0])
}
