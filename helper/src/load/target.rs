//! What an address of the built-in load names, and the ways in which it is asked for.

use std::net::{Ipv4Addr, SocketAddr};

/// What an address names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub url: String,
    /// Host and port as they stand in the address.
    pub authority: String,
    pub(super) host: String,
    pub port: u16,
    /// By the name in the request, as written first, as each of `Visitor` asks.
    requests: Vec<[String; VISITORS]>,
}

/// Who asks. Code that has only met requests of one kind is compiled for that kind alone, and compiled again when another
/// comes: the headers of a program, of curl, and of a browser differ in number and in what they make a service do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visitor {
    Program,
    Tool,
    Browser,
    /// Closes the connection after each answer, as nginx does with those to the services behind it.
    Proxy,
}

pub const VISITORS: usize = 4;

impl Visitor {
    /// In the order of their numbers.
    pub const ALL: [Self; VISITORS] = [Self::Program, Self::Tool, Self::Browser, Self::Proxy];

    /// What it says besides the host.
    fn headers(self) -> &'static str {
        match self {
            Self::Program => "",
            Self::Tool => "User-Agent: hotfork\r\nAccept: */*\r\n",
            Self::Browser => {
                "Connection: keep-alive\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) hotfork\r\n\
                 Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
                 Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate\r\n"
            }
            Self::Proxy => "Connection: close\r\n",
        }
    }
}

/// Who asks, and by which name of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manner {
    pub visitor: Visitor,
    /// 0: as it stands in the address.
    name: usize,
}

impl Manner {
    pub fn as_written(visitor: Visitor) -> Self {
        Self { visitor, name: 0 }
    }

    pub fn is_as_written(self) -> bool {
        self.name == 0
    }
}

impl Target {
    pub fn parse(url: &str) -> Result<Self, String> {
        let wrong = |why| format!("{url}: {why}; write http://HOST:PORT/PATH");
        if !url.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(wrong("an address holds no blanks and no letters beyond ASCII (percent-encode them)"));
        }
        let rest = url.strip_prefix("http://").ok_or_else(|| wrong("it does not begin with http://"))?;
        let rest = rest.split('#').next().unwrap_or(rest);
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(wrong("a user name in it is not sent"));
        }
        let (written, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => {
                (host, port.parse().ok().filter(|&port| port != 0).ok_or_else(|| wrong("its port is no port number"))?)
            }
            _ => (authority, 80),
        };
        let host = written.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(written);
        if host.is_empty() {
            return Err(wrong("it names no host"));
        }
        let slash = if path.starts_with('/') { "" } else { "/" };
        let requests = names(authority, written, port).into_iter().map(|name| {
            let head = format!("GET {slash}{path} HTTP/1.1\r\nHost: {name}\r\n");
            Visitor::ALL.map(|visitor| format!("{head}{}\r\n", visitor.headers()))
        });
        let requests = requests.collect();
        Ok(Self { url: url.into(), authority: authority.into(), host: host.into(), port, requests })
    }

    /// The same address, asked of who listens there on this host.
    pub fn at(&self, listener: SocketAddr) -> Self {
        // A wildcard is of one family or of both: localhost has addresses of both.
        let ip = listener.ip();
        let host = if ip.is_unspecified() { "localhost".into() } else { ip.to_string() };
        Self { host, port: listener.port(), ..self.clone() }
    }

    /// All manners, over and over: visitors change first.
    pub fn manner(&self, turn: usize) -> Manner {
        Manner { visitor: Visitor::ALL[turn % VISITORS], name: turn / VISITORS % self.requests.len() }
    }

    pub(super) fn request(&self, manner: Manner) -> &str {
        &self.requests[manner.name][manner.visitor as usize]
    }
}

/// Proxies leave the port out, others ask by the number: what reads a name (Tomcat's HttpParser) is code of its own for each.
fn names(authority: &str, host: &str, port: u16) -> Vec<String> {
    let number = (host == "localhost").then(|| format!("{}:{port}", Ipv4Addr::LOCALHOST));
    let mut names: Vec<String> = [authority, host].map(str::to_owned).into_iter().chain(number).collect();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_host_port_and_path() {
        let target = Target::parse("http://localhost:8080/a?b=c#d").unwrap();
        assert_eq!(
            (target.host.as_str(), target.port, target.authority.as_str()),
            ("localhost", 8080, "localhost:8080")
        );
        for request in target.requests.iter().flatten() {
            assert!(request.starts_with("GET /a?b=c HTTP/1.1\r\nHost: "), "{request}");
            assert!(request.ends_with("\r\n\r\n") && request.matches("\r\n\r\n").count() == 1, "{request}");
        }
        let lines = |visitor| target.request(Manner::as_written(visitor)).lines().count();
        assert_eq!(Visitor::ALL.map(lines), [3, 5, 8, 4]);
        let target = Target::parse("http://[::1]:81?x").unwrap();
        assert_eq!((target.host.as_str(), target.port), ("::1", 81));
        let request = target.request(Manner::as_written(Visitor::Program));
        assert!(request.starts_with("GET /?x HTTP/1.1\r\nHost: [::1]:81\r\n"));
        assert_eq!(Target::parse("http://[::1]").unwrap().port, 80);
        for wrong in
            ["http://", "http:///a", "http://h:0/", "http://h:70000/", "http://u@h/", "http://h/a b", "ftp://h/"]
        {
            let why = Target::parse(wrong).unwrap_err();
            assert!(why.starts_with(wrong) && why.ends_with("write http://HOST:PORT/PATH"), "{why}");
        }
    }

    #[test]
    fn every_visitor_asks_by_every_name() {
        let hosts = |url: &str| {
            let target = Target::parse(url).unwrap();
            let all = (0..3 * VISITORS).map(|turn| target.manner(turn));
            let all = all.map(|manner| {
                target.request(manner).lines().nth(1).unwrap().strip_prefix("Host: ").unwrap().to_owned()
            });
            let all: Vec<String> = all.collect();
            all.chunks(VISITORS)
                .map(|each| {
                    assert!(each.iter().all(|name| *name == each[0]), "{each:?}");
                    each[0].clone()
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(hosts("http://localhost:81/"), ["localhost:81", "localhost", "127.0.0.1:81"]);
        assert_eq!(hosts("http://[::1]:81/"), ["[::1]:81", "[::1]", "[::1]:81"]);
        assert_eq!(hosts("http://shop/"), ["shop"; 3]);
        let target = Target::parse("http://shop:81/").unwrap();
        assert_eq!([0, 1, 2].map(|name| target.manner(name * VISITORS).is_as_written()), [true, false, true]);
    }
}
