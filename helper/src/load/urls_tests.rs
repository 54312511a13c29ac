use super::*;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

#[derive(Default)]
struct Seen {
    open: AtomicUsize,
    opened: AtomicUsize,
    asked: AtomicUsize,
    by_other_name: AtomicUsize,
}

/// Answers every request for / well, those for /own and /shut if they name it as 127.0.0.1 with its port, others not: for /shut it
/// closes the connection.
fn serve() -> (u16, Arc<Seen>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (port, seen) = (listener.local_addr().unwrap().port(), Arc::new(Seen::default()));
    let shared = Arc::clone(&seen);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let seen = Arc::clone(&shared);
            seen.open.fetch_add(1, SeqCst);
            seen.opened.fetch_add(1, SeqCst);
            std::thread::spawn(move || {
                answer(&stream, &seen);
                seen.open.fetch_sub(1, SeqCst);
            });
        }
    });
    (port, seen)
}

fn answer(mut stream: &TcpStream, seen: &Seen) {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    while let Some(request) = lines.next() {
        let own = lines.next() == Some(format!("Host: {}", stream.local_addr().unwrap()));
        lines.find(String::is_empty);
        seen.asked.fetch_add(1, SeqCst);
        seen.by_other_name.fetch_add(usize::from(!own), SeqCst);
        if !own && request.starts_with("GET /shut ") {
            return;
        }
        let good = request.starts_with("GET / ") || own && !request.starts_with("GET /lost ");
        let status = if good { "200 OK" } else { "503 Not Yet" };
        // In one piece: a second one would wait for the client's delayed acknowledgement of the first.
        if stream.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes()).is_err() {
            return;
        }
    }
}

fn start(port: u16, paths: &[&str]) -> Urls {
    let targets = paths.iter().map(|path| Target::parse(&format!("http://127.0.0.1:{port}{path}")).unwrap());
    Urls::start(targets.collect(), Process(std::process::id() as i32))
}

fn wait(what: &str, done: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_pause_has_no_connections_and_no_requests() {
    let (port, seen) = serve();
    let mut urls = start(port, &["/", "/"]);
    wait("all clients ask", || seen.open.load(SeqCst) == CONNECTIONS && seen.asked.load(SeqCst) > 100);
    urls.pause();
    wait("all connections end", || seen.open.load(SeqCst) == 0);
    let asked = seen.asked.load(SeqCst);
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(seen.asked.load(SeqCst), asked);
    urls.pace();
    assert!(urls.shared.lock().phase == Phase::Paused);
    urls.resume();
    wait("they ask again", || seen.asked.load(SeqCst) > asked + 100);
    assert_eq!(urls.shared.lock().quiet, 0);
    urls.pause();
}

#[test]
fn silence_keeps_connections_and_comes_ever_rarer() {
    let (port, seen) = serve();
    let mut urls = start(port, &["/"]);
    wait("all clients ask", || seen.open.load(SeqCst) == CONNECTIONS && seen.asked.load(SeqCst) > 100);
    let (_, after) = urls.silence;
    let begun = Instant::now();
    urls.silence.0 = begun;
    urls.pace();
    std::thread::sleep(Duration::from_millis(50));
    let asked = seen.asked.load(SeqCst);
    while begun.elapsed() < SILENCE - WINDOW {
        urls.pace();
        assert!(urls.shared.lock().phase == Phase::Rests);
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!((seen.open.load(SeqCst), seen.asked.load(SeqCst)), (CONNECTIONS, asked));
    let end = begun + Duration::from_secs(20);
    while seen.asked.load(SeqCst) == asked {
        assert!(Instant::now() < end, "they ask again");
        urls.pace();
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(begun.elapsed() >= SILENCE);
    assert_eq!(urls.silence, (urls.silence.0, 2 * after));
    assert!(urls.silence.0 >= begun + SILENCE + after);
}

#[test]
fn a_connection_lasts_for_some_requests_and_some_time() {
    let (port, seen) = serve();
    let begun = Instant::now();
    let mut urls = start(port, &["/", "/"]);
    let lasts = Duration::from_millis(5).max(urls.shared.connections_last);
    wait("they ask", || seen.asked.load(SeqCst) > 1000 && begun.elapsed() > 20 * lasts);
    urls.pause();
    let (opened, asked) = (seen.opened.load(SeqCst), seen.asked.load(SeqCst));
    let each = asked / CONNECTION_LASTS;
    let expected = match urls.shared.connections_last {
        Duration::ZERO => each - CONNECTIONS..=each + 2 * CONNECTIONS,
        lasts => 2 * CONNECTIONS..=(begun.elapsed().div_duration_f64(lasts) as usize + 1) * CONNECTIONS,
    };
    assert!(expected.contains(&opened), "{opened} connections for {asked} requests");
}

#[test]
fn a_service_is_asked_by_other_names_until_it_minds() {
    let (port, seen) = serve();
    let mut urls = start(port, &["/"]);
    wait("it is asked by the host alone", || seen.by_other_name.load(SeqCst) > 1000);
    urls.pause();

    for path in ["/own", "/shut"] {
        let (port, seen) = serve();
        let mut urls = start(port, &[path]);
        wait("it is asked for long", || seen.asked.load(SeqCst) > 2000);
        assert!(urls.shared.lock().failing[0].is_none(), "{path}");
        urls.pause();
        // The client asks a second time where a kept connection was closed.
        let by_other_name = seen.by_other_name.load(SeqCst);
        assert!((1..=2 * CONNECTIONS).contains(&by_other_name), "{path}: {by_other_name}");
    }
}

#[test]
fn an_address_that_has_failed_for_long_is_told_once() {
    let (port, _seen) = serve();
    let mut urls = start(port, &["/", "/lost"]);
    wait("both have been asked for", || urls.shared.lock().failing[1].is_some());
    assert_eq!(urls.failure(), None);
    if let Some(failing) = &mut urls.shared.lock().failing[1] {
        failing.since = Instant::now().checked_sub(PATIENCE).unwrap();
    }
    let failure = urls.failure().unwrap();
    let found = format!("for 5 s (http://127.0.0.1:{port}/lost: status 503): correct --load");
    assert!(failure.contains(&found), "{failure}");
    assert_eq!(urls.failure(), None);
    urls.pause();
}

#[test]
fn a_good_answer_ends_a_failure() {
    let shared = Shared {
        connections_last: Duration::ZERO,
        targets: Vec::new(),
        state: Mutex::new(State { phase: Phase::Asks, quiet: 0, failing: vec![None], as_written: vec![false] }),
        changed: Condvar::new(),
    };
    shared.note(0, Err("status 503".into()));
    let since = shared.lock().failing[0].as_ref().unwrap().since;
    shared.note(0, Err("status 404".into()));
    let state = shared.lock();
    let failing = state.failing[0].as_ref().unwrap();
    assert_eq!((failing.since, failing.why.as_str()), (since, "status 404"));
    drop(state);
    shared.note(0, Ok(()));
    assert!(shared.lock().failing[0].is_none());
}
