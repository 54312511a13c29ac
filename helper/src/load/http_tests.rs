use super::super::target::Visitor;
use super::*;
use crate::descriptors::sys::socket_int;
use std::net::{Ipv4Addr, TcpListener};
use std::thread;
use std::time::Instant;

fn read(text: &str) -> io::Result<Answer> {
    let mut from = text.as_bytes();
    let answer = read_answer(&mut from, &mut Vec::new())?;
    // What is left belongs to the next answer.
    assert_eq!(from, if answer.last { b"".as_slice() } else { b"HTTP" }, "{text:?}");
    Ok(answer)
}

#[test]
fn answers_are_read_to_their_end() {
    let alive = |status| Answer { status, last: false };
    assert_eq!(read("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP").unwrap(), alive(200));
    assert_eq!(read("HTTP/1.1 204 \r\n\r\nHTTP").unwrap(), alive(204));
    assert_eq!(read("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\nHTTP").unwrap(), alive(404));
    let chunks =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: x\r\n\r\nHTTP";
    assert_eq!(read(chunks).unwrap(), alive(200));
    assert_eq!(read(&format!("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n{chunks}")).unwrap(), alive(200));
    assert_eq!(
        read("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nxHTTP").unwrap(),
        alive(200)
    );
}

#[test]
fn the_last_answer_of_a_connection_is_known() {
    for last in [
        "HTTP/1.1 200 OK\r\nConnection: Upgrade, Close\r\nContent-Length: 1\r\n\r\nx",
        "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx",
        "HTTP/1.1 200 OK\r\n\r\nuntil it closes",
    ] {
        assert_eq!(read(last).unwrap(), Answer { status: 200, last: true }, "{last:?}");
    }
}

#[test]
fn what_is_no_answer_is_an_error() {
    for (text, why) in [
        ("", "unexpected end of file"),
        ("HTTP/1.1 200 OK\r\n", "unexpected end of file"),
        ("SMTP\r\n\r\n", "its answer is no HTTP"),
        ("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "its Content-Length is no number"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", "unexpected end of file"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", "a chunk of its answer has no size"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "unexpected end of file"),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(why), "{text:?} gave {error}");
    }
}

#[test]
fn each_answer_is_acknowledged_at_once() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let target = Target::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    let mut connection = Connection::open(&target).unwrap();
    let client = connection.stream.get_ref().try_clone().unwrap();
    let server = thread::spawn(move || {
        let mut server = BufReader::new(listener.accept().unwrap().0);
        // The kernel turns to late acknowledgements once it sees requests follow answers.
        for answer in 0..10 {
            read_head(&mut server, &mut Vec::new()).unwrap();
            let end = Instant::now() + Duration::from_secs(10);
            while socket_int(&client, libc::IPPROTO_TCP, libc::TCP_QUICKACK).unwrap() == 0 {
                assert!(Instant::now() < end, "answer {answer} would be acknowledged late");
                thread::yield_now();
            }
            server.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
        }
    });
    for _ in 0..10 {
        connection.get(&target, Manner::as_written(Visitor::Tool)).unwrap();
    }
    server.join().unwrap();
}
