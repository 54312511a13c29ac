//! What a request costs in the warmed JVM just before the capture: alone, on the two kinds of connection.

use crate::failure::Outcome;
use crate::first_response::requests;
use crate::http::Connection;
use crate::sample::Sample;
use serde::Serialize;

/// Of each kept-alive connection, and of the connections: Tomcat closes one with the hundredth.
const REQUESTS: usize = 100;
const KEPT_ALIVE: usize = 2;
const NEW: usize = 100;

/// Nanoseconds of each request: first byte sent to last byte received.
#[derive(Serialize)]
pub struct Steady {
    /// The only request of a new connection.
    pub new_connection: Vec<u64>,
    /// One after the other on kept-alive connections.
    pub kept_alive: Vec<u64>,
}

pub fn measure(sample: &Sample, port: u16, body: &[u8]) -> Outcome<Steady> {
    let new_connection = (0..NEW).map(|_| on_new_connection(sample, port, body)).collect::<Outcome<_>>()?;
    let mut kept_alive = Vec::new();
    for _ in 0..KEPT_ALIVE {
        kept_alive.extend(requests(&mut Connection::open(port)?, sample.measured, body, REQUESTS)?);
    }
    Ok(Steady { new_connection, kept_alive })
}

/// The connection is there before the first byte is sent.
pub fn on_new_connection(sample: &Sample, port: u16, body: &[u8]) -> Outcome<u64> {
    Ok(requests(&mut Connection::open(port)?, sample.measured, body, 1)?[0])
}
