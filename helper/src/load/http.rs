//! One connection of the built-in load: HTTP/1.1, plain, kept alive. `httparse` reads heads; bodies are thrown away.

use super::target::{Manner, Target};
use crate::descriptors::sys::set_socket_option;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

const CONNECTS_WITHIN: Duration = Duration::from_secs(5);
/// A first request after the start of a large application may take long.
const ANSWERS_WITHIN: Duration = Duration::from_secs(60);
const HEADERS: usize = 128;
const HEAD_AT_MOST: usize = 256 << 10;

pub struct Connection {
    stream: BufReader<TcpStream>,
    head: Vec<u8>,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// The server closes the connection after it.
    pub last: bool,
}

enum Body {
    None,
    Length(u64),
    Chunks,
    UntilClose,
}

impl Connection {
    pub fn open(target: &Target) -> io::Result<Self> {
        let mut failure = io::Error::other("the host has no address");
        for address in (target.host.as_str(), target.port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, CONNECTS_WITHIN) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    stream.set_read_timeout(Some(ANSWERS_WITHIN))?;
                    stream.set_write_timeout(Some(ANSWERS_WITHIN))?;
                    return Ok(Self { stream: BufReader::with_capacity(64 << 10, stream), head: Vec::new() });
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// Asks for it, and reads the answer to its end.
    pub fn get(&mut self, target: &Target, manner: Manner) -> io::Result<Answer> {
        self.stream.get_mut().write_all(target.request(manner).as_bytes())?;
        self.acknowledge_at_once()?;
        read_answer(&mut self.stream, &mut self.head)
    }

    /// A server that writes head and body apart, without TCP_NODELAY (the JDK's own HttpServer), sends the body when the head
    /// is acknowledged: after 40 ms, unless asked otherwise. The kernel forgets it (tcp(7)): for each answer anew.
    fn acknowledge_at_once(&self) -> io::Result<()> {
        set_socket_option(self.stream.get_ref(), libc::IPPROTO_TCP, libc::TCP_QUICKACK, &1i32.to_ne_bytes())?;
        Ok(())
    }
}

fn read_answer(from: &mut impl BufRead, head: &mut Vec<u8>) -> io::Result<Answer> {
    let (answer, body) = loop {
        read_head(from, head)?;
        let (answer, body) = parse_head(head)?;
        // 100 Continue, 103 Early Hints: the answer itself follows.
        if answer.status >= 200 {
            break (answer, body);
        }
    };
    match body {
        Body::None => {}
        Body::Length(length) => skip(from, length)?,
        Body::Chunks => skip_chunks(from, head)?,
        Body::UntilClose => io::copy(from, &mut io::sink()).map(drop)?,
    }
    Ok(answer)
}

/// Up to and with the empty line.
fn read_head(from: &mut impl BufRead, head: &mut Vec<u8>) -> io::Result<()> {
    head.clear();
    loop {
        let before = head.len();
        from.take((HEAD_AT_MOST - before) as u64).read_until(b'\n', head)?;
        match &head[before..] {
            b"\r\n" | b"\n" => return Ok(()),
            [.., b'\n'] => {}
            _ if head.len() >= HEAD_AT_MOST => return Err(io::Error::other("the head of its answer has no end")),
            _ => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

fn parse_head(head: &[u8]) -> io::Result<(Answer, Body)> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let whole = response.parse(head).map_err(|error| io::Error::other(format!("its answer is no HTTP: {error}")))?;
    let (httparse::Status::Complete(_), Some(status)) = (whole, response.code) else {
        return Err(io::Error::other("its answer is no HTTP"));
    };
    let mut last = response.version == Some(0);
    let mut body = Body::UntilClose;
    for header in response.headers.iter() {
        let value = String::from_utf8_lossy(header.value);
        let holds = |word: &str| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(word));
        match header.name.to_ascii_lowercase().as_str() {
            "connection" => last = holds("close") || last && !holds("keep-alive"),
            "transfer-encoding" if holds("chunked") => body = Body::Chunks,
            "content-length" if !matches!(body, Body::Chunks) => {
                let length = value.trim().parse();
                body = Body::Length(length.map_err(|_| io::Error::other("its Content-Length is no number"))?);
            }
            _ => {}
        }
    }
    if status < 200 || matches!(status, 204 | 304) {
        body = Body::None;
    }
    last |= matches!(body, Body::UntilClose);
    Ok((Answer { status, last }, body))
}

fn skip(from: &mut impl BufRead, length: u64) -> io::Result<()> {
    if io::copy(&mut from.take(length), &mut io::sink())? == length {
        return Ok(());
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}

fn skip_chunks(from: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<()> {
    loop {
        line.clear();
        from.take(HEAD_AT_MOST as u64).read_until(b'\n', line)?;
        match httparse::parse_chunk_size(line) {
            // What follows the last chunk ends as a head does.
            Ok(httparse::Status::Complete((_, 0))) => return read_head(from, line),
            Ok(httparse::Status::Complete((_, size))) => skip(from, size.saturating_add(2))?,
            Ok(httparse::Status::Partial) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Err(_) => return Err(io::Error::other("a chunk of its answer has no size")),
        }
    }
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
