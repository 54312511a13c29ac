//! A plain HTTP/1.1 client over one kept-alive connection.

use crate::failure::{During, Failure, Outcome, fail};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, socket};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Duration;

/// A request that takes longer is taken for a hang.
const HANG: Duration = Duration::from_secs(60);

/// All of 127.0.0.0/8 is this host.
const APART: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, 2), 0);

pub struct Connection {
    stream: BufReader<TcpStream>,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub location: Option<String>,
    /// The server ends the connection after this answer.
    pub last: bool,
    pub body: Vec<u8>,
}

impl Connection {
    /// One try; a refused connection is the caller's to judge. From an address that no load comes from. A load leaves thousands of its ports in TIME_WAIT, a third of all; who comes from such a
    /// port to the same service is answered by the old connection, and asks again after two ticks of the kernel's (TCP_TIMEOUT_MIN, 8 to 12 ms).
    pub fn try_open_apart(port: u16) -> std::io::Result<Self> {
        let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
        bind(socket.as_raw_fd(), &SockaddrIn::from(APART))?;
        connect(socket.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)))?;
        Self::of(TcpStream::from(socket))
    }

    fn of(stream: TcpStream) -> std::io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(HANG))?;
        Ok(Self { stream: BufReader::with_capacity(64 * 1024, stream) })
    }

    pub fn open(port: u16) -> Outcome<Self> {
        let stream = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        stream.and_then(Self::of).during(format!("connect to port {port}"))
    }

    pub fn get(&mut self, path: &str) -> Outcome<Response> {
        self.request("GET", path, "")
    }

    /// `body` is JSON, or empty.
    pub fn request(&mut self, method: &str, path: &str, body: &str) -> Outcome<Response> {
        let mut text = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n");
        if !body.is_empty() {
            text += &format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
        }
        text += "\r\n";
        text += body;
        let what = format!("{method} {path}");
        self.stream.get_mut().write_all(text.as_bytes()).during(format!("send {what}"))?;
        read_response(&mut self.stream).map_err(|Failure(why)| Failure(format!("{what}: {why}")))
    }
}

impl Response {
    pub fn must_be(self, status: u16, what: &str) -> Outcome<Self> {
        if self.status == status {
            return Ok(self);
        }
        let body = String::from_utf8_lossy(&self.body);
        let start: String = body.chars().take(200).collect();
        fail(format!("{what} was answered by status {}, not {status}: {start}", self.status))
    }
}

fn read_response(from: &mut impl BufRead) -> Outcome<Response> {
    let status_line = line(from)?;
    let status = status_line
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3)?.parse().ok())
        .ok_or_else(|| Failure(format!("{status_line:?} is no HTTP/1.1 status line")))?;
    let mut response = Response { status, location: None, last: false, body: Vec::new() };
    let (mut length, mut chunked) = (None, false);
    loop {
        let header = line(from)?;
        if header.is_empty() {
            break;
        }
        let Some((name, value)) = header.split_once(':') else { return fail(format!("{header:?} is no header")) };
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = Some(value.parse::<usize>().during(format!("read {header:?}"))?),
            "transfer-encoding" => chunked = value.eq_ignore_ascii_case("chunked"),
            "connection" => response.last = value.eq_ignore_ascii_case("close"),
            "location" => response.location = Some(value.into()),
            _ => {}
        }
    }
    match (chunked, length) {
        (true, _) => read_chunks(from, &mut response.body)?,
        (false, Some(length)) => read_bytes(from, length, &mut response.body)?,
        (false, None) if status == 204 => {}
        (false, None) => return fail("an answer without Content-Length and not in chunks"),
    }
    Ok(response)
}

fn read_chunks(from: &mut impl BufRead, body: &mut Vec<u8>) -> Outcome<()> {
    loop {
        let size = line(from)?;
        let length = usize::from_str_radix(&size, 16).during(format!("read chunk size {size:?}"))?;
        read_bytes(from, length, body)?;
        let end = line(from)?;
        if !end.is_empty() {
            return fail(format!("{end:?} where a chunk must end"));
        }
        if length == 0 {
            return Ok(());
        }
    }
}

fn read_bytes(from: &mut impl BufRead, length: usize, body: &mut Vec<u8>) -> Outcome<()> {
    let before = body.len();
    from.take(length as u64).read_to_end(body).during("read the body")?;
    if body.len() - before == length { Ok(()) } else { fail("the connection ended within the body") }
}

fn line(from: &mut impl BufRead) -> Outcome<String> {
    let mut line = String::new();
    from.read_line(&mut line).during("read the answer")?;
    match line.strip_suffix("\r\n") {
        Some(text) => Ok(text.into()),
        None => fail("the connection ended within the answer"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Outcome<Response> {
        read_response(&mut text.as_bytes())
    }

    #[test]
    fn a_body_of_known_length() {
        let response = parse("HTTP/1.1 201 \r\nLocation: /api/orders/9\r\ncontent-length: 2\r\n\r\n{}rest").unwrap();
        let location = Some("/api/orders/9".into());
        assert_eq!(response, Response { status: 201, location, last: false, body: b"{}".to_vec() });
    }

    #[test]
    fn a_body_in_chunks_on_the_last_use_of_a_connection() {
        let response = parse(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n",
        );
        assert_eq!(
            response.unwrap(),
            Response { status: 200, location: None, last: true, body: b"abc0123456789".to_vec() }
        );
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        for (text, why) in [
            ("", "ended within the answer"),
            ("HTTP/1.1 200 OK\r\n", "ended within the answer"),
            ("SMTP\r\n", "no HTTP/1.1 status line"),
            ("HTTP/1.1 200 OK\r\nbad\r\n\r\n", "is no header"),
            ("HTTP/1.1 200 OK\r\n\r\n", "without Content-Length"),
            ("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "read \"Content-Length: x\""),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", "ended within the body"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", "chunk size \"x\""),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n", "where a chunk must end"),
        ] {
            let failure = parse(text).unwrap_err().to_string();
            assert!(failure.contains(why), "{text:?} gave {failure}");
        }
    }

    #[test]
    fn another_status_is_told_with_its_body() {
        let response = parse("HTTP/1.1 500 \r\nContent-Length: 4\r\n\r\noops").unwrap();
        let failure = response.must_be(200, "GET /").unwrap_err().to_string();
        assert_eq!(failure, "GET / was answered by status 500, not 200: oops");
    }
}
