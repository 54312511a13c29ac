//! From just before exec to the first whole answer, and the requests after it.

use crate::apart::Apart;
use crate::clock;
use crate::failure::{During, Failure, Outcome, fail};
use crate::http::Connection;
use crate::proc::{self, Faults, ThreadCpu};
use crate::process::Process;
use serde::Serialize;
use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How often the starter looks whether its child lives.
const LOOK: Duration = Duration::from_millis(100);
const HANG: Duration = Duration::from_secs(300);
/// Requests from the second to the twentieth.
pub const FURTHER_REQUESTS: usize = 19;
/// ... to the hundredth, after which compiled methods are counted.
pub const TO_THE_HUNDREDTH: usize = 99;

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
    pub fn second_to_twentieth(&self) -> &[u64] {
        &self.later_requests[..self.later_requests.len().min(FURTHER_REQUESTS)]
    }

    /// Starts a process while a client already tries to connect, each on a CPU of its own at first (`apart`). The client sends its request as soon
    /// as something listens, then `further` ones.
    pub fn of(
        start: impl FnOnce() -> Outcome<Process>,
        port: u16,
        path: &str,
        further: usize,
    ) -> Outcome<(Process, Self)> {
        let stop = AtomicBool::new(false);
        let (answered, answers) = channel();
        let apart = Apart::find()?;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let answer = apart.client().and_then(|()| ask_as_soon_as_possible(port, path, &stop));
                // Nobody listens any more when the process could not be started.
                let _ = answered.send(answer);
            });
            let first = apart.start(start).and_then(|mut process| {
                let answer = wait_for_answer(&mut process, &answers, port)?;
                Self::complete(process, answer, path, further)
            });
            stop.store(true, Ordering::Relaxed);
            first
        })
    }

    fn complete(process: Process, answer: Answer, path: &str, further: usize) -> Outcome<(Process, Self)> {
        let pid = process.pid();
        let (faults, cpu, threads) = (proc::faults(pid)?, clock::cpu_of(pid)?, proc::threads(pid)?);
        let private_memory = proc::private_memory(pid)?;
        let Answer { mut connection, connected, at, body } = answer;
        if connected < process.spawned {
            return Err(process.failure("was not alone: something else listened on its port"));
        }
        let later_requests =
            requests(&mut connection, path, &body, further).map_err(|failure| no_answer(&process, &failure))?;
        let (since_exec, first_request) = (at - process.spawned, at - connected);
        let first = Self { since_exec, at, first_request, later_requests, faults, cpu, threads, private_memory, body };
        Ok((process, first))
    }
}

struct Answer {
    connection: Connection,
    /// CLOCK_MONOTONIC, as `at`, when it was answered.
    connected: u64,
    at: u64,
    body: Vec<u8>,
}

/// Between two attempts to connect. A client that never sleeps takes a whole CPU from the start that it measures; for this the answer
/// may come later by as much, and by the kernel's slack (50 us).
const PATIENCE: Duration = Duration::from_micros(50);

/// Tries again and again, until something listens.
fn ask_as_soon_as_possible(port: u16, path: &str, stop: &AtomicBool) -> Outcome<Answer> {
    let mut connection = loop {
        match Connection::try_open_apart(port) {
            Ok(connection) => break connection,
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
            Err(error) => return Err(error).during(format!("connect to port {port}")),
        }
        if stop.load(Ordering::Relaxed) {
            return fail(format!("nothing listened on port {port}"));
        }
        std::thread::sleep(PATIENCE);
    };
    let connected = clock::now();
    let first = connection.get(path)?;
    let at = clock::now();
    Ok(Answer { connection, connected, at, body: first.must_be(200, &format!("GET {path}"))?.body })
}

fn no_answer(process: &Process, failure: &Failure) -> Failure {
    process.failure(&format!("gave no answer: {failure}"))
}

fn wait_for_answer(process: &mut Process, answers: &Receiver<Outcome<Answer>>, port: u16) -> Outcome<Answer> {
    let begun = Instant::now();
    loop {
        match answers.recv_timeout(LOOK) {
            Ok(answer) => return answer.map_err(|failure| no_answer(process, &failure)),
            Err(RecvTimeoutError::Disconnected) => return Err(process.failure("was asked by a client that died")),
            Err(RecvTimeoutError::Timeout) => process.must_run()?,
        }
        if begun.elapsed() > HANG {
            return Err(process.failure(&format!("does not answer on port {port} after {HANG:?}")));
        }
    }
}

/// Nanoseconds of each of so many requests on one connection: first byte sent to last byte received.
pub fn requests(connection: &mut Connection, path: &str, expected: &[u8], count: usize) -> Outcome<Vec<u64>> {
    let mut latencies = Vec::with_capacity(count);
    while latencies.len() < count {
        let begun = clock::now();
        let response = connection.get(path)?.must_be(200, &format!("GET {path}"))?;
        latencies.push(clock::now() - begun);
        if response.body != expected {
            return fail(format!("GET {path} has another body than the first time"));
        }
        if response.last && latencies.len() < count {
            return fail(format!("the connection was closed after {} requests", latencies.len()));
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
        let start = || {
            let mut command = Command::new("sh");
            Process::spawn("the service", command.args(["-c", "echo broken; exit 4"]), &log)
        };
        // Nothing listens on tcpmux.
        let failure = FirstResponse::of(start, 1, "/", 0).err().unwrap().to_string();
        std::fs::remove_file(&log).unwrap();
        assert!(failure.contains("ended with exit status: 4\n  | broken"), "{failure}");
    }
}
