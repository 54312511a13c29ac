//! A client that keeps its connection alive, as the ones in front of a service do.

use crate::{During, Outcome, ensure, ensure_eq};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// A request that takes longer counts as a hang.
const HANG: Duration = Duration::from_secs(20);

pub struct Client {
    connection: BufReader<TcpStream>,
}

impl Client {
    pub fn connect(port: u16) -> Outcome<Self> {
        let connection =
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).during(format_args!("connect to port {port}"))?;
        connection.set_read_timeout(Some(HANG)).during("set a time-out")?;
        connection.set_nodelay(true).during("set TCP_NODELAY")?;
        Ok(Self { connection: BufReader::new(connection) })
    }

    /// The body of a 200; the connection stays open.
    pub fn get(&mut self, path: &str) -> Outcome<String> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        self.connection.get_mut().write_all(request.as_bytes()).during(format_args!("send GET {path}"))?;
        let status = self.line()?;
        ensure!(status.starts_with("HTTP/1.1 200"), "GET {path} was answered by {status:?}");
        let mut length = 0;
        loop {
            let header = self.line()?.to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().during(format_args!("header {header}"))?;
            }
        }
        let mut body = vec![0; length];
        self.connection.read_exact(&mut body).during(format_args!("read the answer to GET {path}"))?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    fn line(&mut self) -> Outcome<String> {
        let mut line = String::new();
        let count = self.connection.read_line(&mut line).during("read the answer")?;
        ensure!(count > 0, "the server closed a kept-alive connection");
        Ok(line.trim_end().to_string())
    }
}

/// Asks the Load subject one question and compares the answer.
pub fn ask_load(client: &mut Client, n: u64) -> Outcome {
    let answer = client.get(&format!("/work?n={n}"))?;
    ensure_eq!(answer, format!("{n} {}", n * n + 1), "the answer to n={n}");
    Ok(())
}

/// Clients of the Load subject that ask without pause, each over one connection.
pub struct Drivers {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    failure: Arc<Mutex<Option<String>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Drivers {
    pub fn start(port: u16, count: u64) -> Outcome<Self> {
        let mut drivers =
            Self { stop: Arc::default(), answered: Arc::default(), failure: Arc::default(), threads: Vec::new() };
        for number in 0..count {
            let mut client = Client::connect(port)?;
            let (stop, answered, failure) = (drivers.stop.clone(), drivers.answered.clone(), drivers.failure.clone());
            drivers.threads.push(std::thread::spawn(move || {
                let mut n = number * 1_000_000;
                while !stop.load(Ordering::Relaxed) {
                    if let Err(why) = ask_load(&mut client, n) {
                        let text = format!("client {number}, request {}: {why}", n % 1_000_000);
                        failure.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).get_or_insert(text);
                        return;
                    }
                    answered.fetch_add(1, Ordering::Relaxed);
                    n += 1;
                }
            }));
        }
        Ok(drivers)
    }

    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Fails as soon as a client has failed.
    pub fn check(&self) -> Outcome {
        match &*self.failure.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) {
            Some(failure) => Err(failure.clone()),
            None => Ok(()),
        }
    }

    /// Waits until so many more requests have been answered.
    pub fn answer_more(&self, count: u64) -> Outcome {
        let goal = self.answered() + count;
        crate::wait::until(HANG * 2, &format!("{count} more requests are answered"), || {
            self.answered() >= goal || self.check().is_err()
        })?;
        self.check()
    }

    /// Ends the clients after the request each is at; fails if one failed.
    pub fn finish(mut self) -> Outcome {
        self.end();
        self.check()
    }

    /// Ends the clients, whatever happened to them: their server has ended.
    pub fn abandon(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                self.failure
                    .lock()
                    .unwrap_or_else(|poisoned| poisoned.into_inner())
                    .get_or_insert("a client panicked".into());
            }
        }
    }
}

impl Drop for Drivers {
    fn drop(&mut self) {
        self.end();
    }
}
