use super::*;

#[test]
fn the_request_is_five_strings() {
    let request = load_request(Path::new("/x/libhotfork.so"), OsStr::new("image=/a")).unwrap();
    assert_eq!(request, b"1\0load\0/x/libhotfork.so\0true\0image=/a\0");
}

#[test]
fn long_arguments_are_refused() {
    let long = "x".repeat(1025);
    let error = load_request(Path::new("/x"), OsStr::new(&long)).unwrap_err();
    assert_eq!(error, "HotSpot takes at most 1024 bytes in an argument, these are 1025; use a shorter path");
    assert!(load_request(Path::new("/x"), OsStr::new("a\0b")).unwrap_err().contains("NUL"));
}

#[test]
fn answers_are_judged() {
    assert_eq!(judge(b"0\nreturn code: 0\n"), Ok(()));
    assert_eq!(judge(b"0\n0\n"), Ok(()));
    assert_eq!(judge(b"0\n"), Ok(()));
    assert_eq!(judge(b"0\nreturn code: -1\n").unwrap_err(), "the agent returns -1; its reason is on the JVM's stderr");
    let missing = b"0\n/x/libhotfork.so: cannot open shared object file\n";
    assert_eq!(judge(missing).unwrap_err(), "/x/libhotfork.so: cannot open shared object file");
    assert_eq!(judge(b"100\nException: y\nz\n").unwrap_err(), "Exception: y; z (status 100)");
    assert_eq!(judge(b"what\n").unwrap_err(), "it answers \"what; \"");
}

#[test]
fn a_process_that_would_die_of_sigquit_gets_none() {
    // The test program does not catch SIGQUIT; were it sent, it would end here.
    let own = Process(std::process::id() as i32);
    let failure = connect(own).err().unwrap();
    assert_eq!(failure.code, ExitCode::Refused);
    let start = format!("cannot attach to JVM {}: it does not catch SIGQUIT", own.0);
    assert!(failure.message.starts_with(&start), "{failure}");
}

#[test]
fn a_missing_process_is_named() {
    let failure = connect(Process(0)).err().unwrap();
    assert!(failure.message.starts_with("cannot attach to JVM 0: cannot read /proc/0/status"), "{failure}");
}

#[test]
fn a_trigger_is_removed_again() {
    let own = Process(std::process::id() as i32);
    let status = own.parse("status", status::parse).unwrap();
    let path = std::env::current_dir().unwrap().join(format!(".attach_pid{}", own.0));
    let trigger = Trigger::create(own, &status).unwrap();
    assert!(path.exists());
    drop(trigger);
    assert!(!path.exists());
}

/// A JVM that takes the first signal for a request to dump its threads.
#[test]
fn a_jvm_is_woken_twice() {
    // A shell cannot trap what it was started with as ignored, as by another shell's `&`.
    let mut shell = std::process::Command::new("env")
        .args(["--default-signal=QUIT", "sh", "-c", "trap 'echo quit' QUIT; echo ready; while :; do sleep 0.02; done"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let socket = PathBuf::from(format!("/tmp/.java_pid{}", shell.id()));
    let mut lines = io::BufRead::lines(io::BufReader::new(shell.stdout.take().unwrap()));
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    let at = socket.clone();
    let jvm = std::thread::spawn(move || {
        let quits = lines.by_ref().take(2).filter(|line| line.as_ref().is_ok_and(|line| line == "quit")).count();
        (quits, std::os::unix::net::UnixListener::bind(at).unwrap())
    });
    let attached = connect(Process(shell.id() as i32));
    shell.kill().unwrap();
    shell.wait().unwrap();
    let (quits, _listener) = jvm.join().unwrap();
    fs::remove_file(&socket).unwrap();
    assert_eq!(quits, 2);
    assert!(attached.is_ok(), "{:?}", attached.err());
}
