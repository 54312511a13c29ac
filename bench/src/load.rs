//! Closed-loop load: each client sends its next request when it has the answer to the last.

use crate::clock;
use crate::failure::{Failure, Outcome, fail};
use crate::http::{Connection, Response};
use crate::latency::Answered;
use crate::reference::Reference;
use crate::sample::Sample;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// One request in so many is an order, placed and cancelled.
const ORDER_EVERY: usize = 12;
const ORDER: &str = r#"{"customerId": 3, "lines": [{"productId": 5, "quantity": 2}]}"#;

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    requests: AtomicU64,
    /// Nanoseconds between an answer and the client's next request.
    pause: AtomicU64,
    /// Nanoseconds of the slowest request since it was last asked for.
    slowest: AtomicU64,
    /// Held for reading from placing an order to its cancellation.
    orders: RwLock<bool>,
    failure: Mutex<Option<Failure>>,
}

/// How long a client keeps its connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Connections {
    /// Until the service ends it.
    Last,
    /// For so many requests: a service that no client has ever left meets the end of a connection as something new.
    OfRequests(u32),
}

pub struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<Vec<Answered>>>,
}

impl Load {
    pub fn start(sample: &'static Sample, port: u16, clients: usize, connections: Connections) -> Self {
        let shared = Arc::new(Shared { orders: RwLock::new(sample.writes), ..Shared::default() });
        let clients = (0..clients)
            .map(|number| {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || {
                    let mut answers = Vec::new();
                    if let Err(failure) = drive(sample, (port, connections), number, &shared, &mut answers) {
                        shared.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
                        shared.stop.store(true, Ordering::Relaxed);
                    }
                    answers
                })
            })
            .collect();
        Self { shared, clients }
    }

    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::Relaxed)
    }

    /// Nanoseconds of the slowest request since this was last asked.
    pub fn slowest(&self) -> u64 {
        self.shared.slowest.swap(0, Ordering::Relaxed)
    }

    /// The service is as it was before the load when this returns, and only read from then on.
    pub fn stop_orders(&self) {
        *self.shared.orders.write().unwrap_or_else(PoisonError::into_inner) = false;
    }

    /// From now on each client pauses so long after an answer, as clients do that read what they got: without, a worker on a few
    /// processors finds its client's next request there whenever it has answered the last, and is never without one.
    pub fn pause_between_requests(&self, pause: Duration) {
        self.shared.pause.store(pause.as_nanos() as u64, Ordering::Relaxed);
    }

    /// Whether a request has failed.
    pub fn failed(&self) -> bool {
        self.shared.stop.load(Ordering::Relaxed)
    }

    /// Ends the load; any request that failed is a failure. All that was answered, in no order.
    pub fn stop(self) -> Outcome<Vec<Answered>> {
        self.shared.stop.store(true, Ordering::Relaxed);
        let mut answers = Vec::new();
        for client in self.clients {
            match client.join() {
                Ok(more) => answers.extend(more),
                Err(_) => return fail("a client of the load panicked"),
            }
        }
        match self.shared.failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(failure) => Err(Failure(format!("under load: {failure}"))),
            None => Ok(answers),
        }
    }
}

struct Client<'a> {
    port: u16,
    connections: Connections,
    connection: Connection,
    /// Requests over it.
    sent: u32,
    shared: &'a Shared,
    answers: &'a mut Vec<Answered>,
    reference: Reference,
}

fn drive(
    sample: &Sample,
    (port, connections): (u16, Connections),
    number: usize,
    shared: &Shared,
    answers: &mut Vec<Answered>,
) -> Outcome<()> {
    let connection = Connection::open(port)?;
    let mut client = Client { port, connections, connection, sent: 0, shared, answers, reference: Reference::new() };
    let mut turn = number;
    let begun = Instant::now();
    while !shared.stop.load(Ordering::Relaxed) {
        turn += 1;
        if turn.is_multiple_of(ORDER_EVERY) {
            let orders = shared.orders.read().unwrap_or_else(PoisonError::into_inner);
            if *orders {
                client.order()?;
                continue;
            }
        }
        let reads = sample.reads_after(begun.elapsed());
        client.send("GET", reads[turn % reads.len()], "", 200)?;
        let pause = shared.pause.load(Ordering::Relaxed);
        if pause > 0 {
            std::thread::sleep(Duration::from_nanos(pause));
        }
    }
    Ok(())
}

impl Client<'_> {
    fn order(&mut self) -> Outcome<()> {
        let placed = self.send("POST", "/api/orders", ORDER, 201)?;
        let Some(location) = placed.location else { return fail("POST /api/orders was answered without a Location") };
        // Absolute or not, what is asked for is its path.
        let path = location.split_once("/api/").map(|(_, rest)| format!("/api/{rest}"));
        let Some(path) = path else { return fail(format!("Location {location} of a new order is not below /api")) };
        self.send("DELETE", &path, "", 204).map(drop)
    }

    fn send(&mut self, method: &str, path: &str, body: &str, status: u16) -> Outcome<Response> {
        let reference = self.reference.now();
        let begun = clock::now();
        let response = self.connection.request(method, path, body)?.must_be(status, &format!("{method} {path}"))?;
        let at = clock::now();
        self.answers.push(Answered { at, nanoseconds: at - begun, reference });
        self.shared.slowest.fetch_max(at - begun, Ordering::Relaxed);
        self.shared.requests.fetch_add(1, Ordering::Relaxed);
        self.sent += 1;
        if response.last || self.connections == Connections::OfRequests(self.sent) {
            self.connection = Connection::open(self.port)?;
            self.sent = 0;
        }
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::Ports;
    use crate::sample::{HTTP, SPRING};
    use std::io::{BufRead, BufReader, Write};
    use std::net::{Ipv4Addr, TcpListener, TcpStream};

    /// A service that answers as told by the request line, and closes every connection after one answer.
    fn serve(answer: fn(&str) -> &'static str) -> u16 {
        // Another test may take a free port first.
        let mut ports = Ports::new();
        let listener = std::iter::repeat_with(|| ports.free().unwrap())
            .find_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok())
            .unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                answer_one(stream.unwrap(), answer);
            }
        });
        port
    }

    fn answer_one(mut stream: TcpStream, answer: fn(&str) -> &'static str) {
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
        let Some(request) = lines.next() else { return };
        lines.find(String::is_empty);
        stream.write_all(answer(&request).as_bytes()).unwrap();
    }

    fn wait_until(load: &Load, done: impl Fn(&Load) -> bool) {
        while !done(load) {
            std::thread::yield_now();
        }
    }

    #[test]
    fn every_answer_counts_and_orders_are_cancelled() {
        let port = serve(|request| match request.split(' ').next() {
            Some("POST") => {
                "HTTP/1.1 201 \r\nLocation: http://localhost/api/orders/9\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            }
            Some("DELETE") if request.contains("/api/orders/9 ") => "HTTP/1.1 204 \r\nConnection: close\r\n\r\n",
            Some("GET") => "HTTP/1.1 200 \r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
            _ => "HTTP/1.1 400 \r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        });
        let load = Load::start(&SPRING, port, 1, Connections::Last);
        wait_until(&load, |load| load.failed() || load.requests() >= 2 * ORDER_EVERY as u64);
        load.stop_orders();
        assert!(load.slowest() > 0);
        let requests = load.requests();
        let answers = load.stop().unwrap();
        assert!(answers.len() as u64 >= requests && answers.iter().all(|answer| answer.nanoseconds > 0));
    }

    #[test]
    fn a_request_that_fails_ends_the_load_and_is_told() {
        let port = serve(|_| "HTTP/1.1 500 \r\nContent-Length: 4\r\nConnection: close\r\n\r\noops");
        let load = Load::start(&HTTP, port, 1, Connections::Last);
        wait_until(&load, Load::failed);
        let failure = load.stop().unwrap_err().to_string();
        assert!(
            failure.starts_with("under load: GET /") && failure.ends_with("status 500, not 200: oops"),
            "{failure}"
        );
    }
}
