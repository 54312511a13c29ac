//! From just before exec to the first whole answer, and the requests after it.

use crate::clock;
use crate::failure::{During, Failure, Outcome, fail};
use crate::http::Connection;
use crate::proc::{self, Faults, ThreadCpu};
use crate::process::Process;
use serde::Serialize;
use std::io::ErrorKind;

/// Refused connections between two looks at whether the child lives.
const TRIES_PER_LOOK: u32 = 256;
const HANG_NS: u64 = 300_000_000_000;
/// Requests from the second to the twentieth.
pub const FURTHER_REQUESTS: usize = 19;

/// All nanoseconds; what /proc tells is read at once after the first answer.
#[derive(Clone, Debug, Serialize)]
pub struct FirstResponse {
    /// Since just before exec.
    pub since_exec: u64,
    /// The moment, CLOCK_MONOTONIC.
    pub at: u64,
    /// Of the first request alone: connected to answered.
    pub first_request: u64,
    /// Of each further request on the same connection.
    pub later_requests: Vec<u64>,
    pub faults: Faults,
    pub cpu: u64,
    pub threads: Vec<ThreadCpu>,
    /// Bytes, after the first request.
    pub private_memory: u64,
    #[serde(skip)]
    pub body: Vec<u8>,
}

impl FirstResponse {
    /// Sends the first request as soon as something listens, then `further` ones.
    pub fn of(process: &mut Process, port: u16, path: &str, further: usize) -> Outcome<Self> {
        let with_output = |process: &Process, failure: Failure| process.failure(&format!("gave no answer: {failure}"));
        let mut connection = connect(process, port)?;
        let connected = clock::now();
        let first = connection.get(path).and_then(|response| response.must_be(200, &format!("GET {path}")));
        let at = clock::now();
        let pid = process.pid();
        let seen = proc::faults(pid).and_then(|faults| Ok((faults, clock::cpu_of(pid)?, proc::threads(pid)?)));
        let first = first.map_err(|failure| with_output(process, failure))?;
        let (faults, cpu, threads) = seen.map_err(|failure| with_output(process, failure))?;
        let private_memory = proc::private_memory(pid)?;
        let later_requests = later(&mut connection, path, &first.body, further);
        let later_requests = later_requests.map_err(|failure| with_output(process, failure))?;
        let (since_exec, first_request) = (at - process.spawned, at - connected);
        Ok(Self {
            since_exec,
            at,
            first_request,
            later_requests,
            faults,
            cpu,
            threads,
            private_memory,
            body: first.body,
        })
    }
}

/// Tries again and again without sleeping, until something listens.
fn connect(process: &mut Process, port: u16) -> Outcome<Connection> {
    loop {
        for _ in 0..TRIES_PER_LOOK {
            match Connection::try_open(port) {
                Ok(connection) => return Ok(connection),
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                Err(error) => return Err(error).during(format!("connect to port {port}")),
            }
        }
        process.must_run()?;
        if clock::now() - process.spawned > HANG_NS {
            return Err(process.failure(&format!("does not listen on port {port} after five minutes")));
        }
    }
}

fn later(connection: &mut Connection, path: &str, expected: &[u8], count: usize) -> Outcome<Vec<u64>> {
    let mut latencies = Vec::with_capacity(count);
    while latencies.len() < count {
        let begun = clock::now();
        let response = connection.get(path)?.must_be(200, &format!("GET {path}"))?;
        latencies.push(clock::now() - begun);
        if response.body != expected {
            return fail(format!("GET {path} has another body than the first time"));
        }
        if response.last {
            return fail(format!("the connection was closed after {} requests", latencies.len() + 1));
        }
    }
    Ok(latencies)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_child_that_ends_before_it_listens_is_told_with_its_output() {
        let log = std::env::temp_dir().join(format!("hotfork-bench-first-{}.log", std::process::id()));
        let mut command = Command::new("sh");
        let mut child = Process::spawn("the service", command.args(["-c", "echo broken; exit 4"]), &log).unwrap();
        // Nothing listens on tcpmux.
        let failure = FirstResponse::of(&mut child, 1, "/", 0).unwrap_err().to_string();
        std::fs::remove_file(&log).unwrap();
        assert!(failure.contains("ended with exit status: 4\n  | broken"), "{failure}");
    }
}
