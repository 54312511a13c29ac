//! The table as a whole: standard descriptors, numbers, limits, and how long recording takes.

use super::harness::{Scratch, Trial, rebuild_again, record_these, try_alone};
use hotfork_helper::descriptors::{Recorder, lift, make_room, occupy_standard, rebuild};
use hotfork_helper::exit::ExitCode;
use hotfork_helper::image::manifest::{Description, Descriptors, Kind, Number};
use hotfork_helper::proc::fdinfo::FdInfo;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::eventfd::EventFd;
use nix::sys::resource::{Resource, setrlimit};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Instant;

pub static TRIALS: &[Trial] = &[
    Trial { name: "standard", run: standard },
    Trial { name: "closed", run: closed },
    Trial { name: "strangers", run: strangers },
    Trial { name: "limit", run: limit },
    Trial { name: "quick", run: quick },
    Trial { name: "perf", run: perf },
    Trial { name: "large", run: large },
];

fn standard_streams() -> Vec<(i32, OwnedFd)> {
    let dup = |fd: std::os::fd::BorrowedFd| fd.try_clone_to_owned().unwrap();
    vec![(0, dup(std::io::stdin().as_fd())), (1, dup(std::io::stdout().as_fd())), (2, dup(std::io::stderr().as_fd()))]
}

#[test]
fn what_shares_with_stdout_follows_stdout() {
    try_alone(&TRIALS[0]);
}

fn standard() {
    let another = std::io::stdout().as_fd().try_clone_to_owned().unwrap();
    let reopened = File::options().write(true).open("/dev/stdout").unwrap();
    let mut all = standard_streams();
    for fd in [another, reopened.into()] {
        all.push((fd.as_raw_fd(), fd.try_clone().unwrap()));
        std::mem::forget(fd);
    }
    let mut recorder = Recorder::new(std::process::id() as i32, &[], Vec::new()).unwrap();
    let table = recorder.record(all).unwrap().descriptors;
    for number in &table.numbers[3..] {
        let kind = &table.descriptions[number.description as usize].kind;
        assert_eq!(kind, &Kind::Standard { number: 1 });
    }
    let room = make_room(&table).unwrap();
    let image = lift(File::open("/dev/null").unwrap().into(), room).unwrap();
    rebuild(&table, room, image.as_fd(), &Default::default()).unwrap();
    let link = |number: i32| std::fs::read_link(format!("/proc/self/fd/{number}")).unwrap();
    for number in &table.numbers[3..] {
        assert_eq!(link(number.fd), link(1));
    }
}

#[test]
fn closed_standard_descriptors_become_dev_null() {
    try_alone(&TRIALS[1]);
}

fn closed() {
    nix::unistd::close(0).unwrap();
    occupy_standard().unwrap();
    assert_eq!(std::fs::read_link("/proc/self/fd/0").unwrap().to_str(), Some("/dev/null"));
    assert_eq!(nix::fcntl::fcntl(std::io::stdin(), nix::fcntl::FcntlArg::F_GETFD), Ok(0));
}

fn open_numbers() -> Vec<i32> {
    (0..1024).filter(|number| std::fs::read_link(format!("/proc/self/fd/{number}")).is_ok()).collect()
}

fn one_device(fd: i32) -> Descriptors {
    Descriptors {
        numbers: vec![Number { fd, description: 0, close_on_exec: false }],
        descriptions: vec![Description { flags: libc::O_RDWR, kind: Kind::Device { path: "/dev/zero".into() } }],
        ..Default::default()
    }
}

#[test]
fn inherited_descriptors_do_not_leak_into_the_instance() {
    try_alone(&TRIALS[2]);
}

fn strangers() {
    let stranger = std::mem::ManuallyDrop::new(File::open("/etc/passwd").unwrap());
    let number = stranger.as_raw_fd() + 5;
    let table = one_device(number);
    let room = make_room(&table).unwrap();
    assert_eq!(room, number + 1);
    let image = lift(File::open("/dev/null").unwrap().into(), room).unwrap();
    assert!(image.as_raw_fd() >= room);
    rebuild(&table, room, image.as_fd(), &Default::default()).unwrap();
    // Above the room the restorer closes what is the helper's.
    let open: Vec<i32> = open_numbers().into_iter().filter(|number| (3..room).contains(number)).collect();
    assert_eq!(open, [number]);
    assert_eq!(std::fs::read_link(format!("/proc/self/fd/{number}")).unwrap().to_str(), Some("/dev/zero"));
}

#[test]
fn a_limit_of_open_files_that_is_too_low_is_named() {
    try_alone(&TRIALS[3]);
}

fn limit() {
    setrlimit(Resource::RLIMIT_NOFILE, 100, 200).unwrap();
    assert_eq!(make_room(&one_device(150)), Ok(151), "the soft limit is raised");
    let failure = make_room(&one_device(190)).unwrap_err();
    assert_eq!(failure.code, ExitCode::HostResource);
    assert_eq!(
        failure.message,
        "the limit of open files is 200, the image needs 224 (its highest descriptor is 190); raise it with ulimit -n 224"
    );
}

#[test]
fn thirty_descriptors_are_recorded_quickly() {
    try_alone(&TRIALS[4]);
}

fn quick() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut fds: Vec<OwnedFd> = Vec::new();
    for _ in 0..5 {
        let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        fds.push(listener.accept().unwrap().0.into());
        fds.push(stream.into());
        fds.push(File::open("/etc/passwd").unwrap().into());
        fds.push(EventFd::new().unwrap().into());
        let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
        nix::unistd::write(&writer, &[1; 100]).unwrap();
        fds.extend([reader, writer]);
    }
    fds.push(listener.into());
    let before = open_numbers();
    let mut times: Vec<_> = (0..20)
        .map(|_| {
            let mut recorder = Recorder::new(std::process::id() as i32, &[], Vec::new()).unwrap();
            let duplicates = fds.iter().map(|fd| (fd.as_raw_fd(), fd.try_clone().unwrap())).collect();
            let start = Instant::now();
            assert_eq!(recorder.record(duplicates).unwrap().descriptors.numbers.len(), 31);
            let elapsed = start.elapsed();
            // A duplicate that stayed open would keep the application's close(2) from taking effect.
            drop(recorder);
            assert_eq!(open_numbers(), before);
            elapsed
        })
        .collect();
    times.sort();
    println!("recorded in {:?} (median), {:?} at most", times[10], times[19]);
    assert!(times[10].as_millis() < 10, "{times:?}");
}

#[test]
fn the_performance_file_is_known_in_spite_of_its_lock() {
    try_alone(&TRIALS[5]);
}

fn perf() {
    let scratch = Scratch::new("perf");
    let directory = scratch.0.join("hsperfdata_somebody");
    std::fs::create_dir(&directory).unwrap();
    let file = File::create(directory.join("4711")).unwrap();
    let locked = Flock::lock(file, FlockArg::LockExclusive).unwrap();
    let fds = [OwnedFd::from(locked.try_clone().unwrap())];
    let table = record_these(&fds).unwrap().descriptors;
    assert_eq!(table.descriptions[0].kind, Kind::PerfData);
    let [fd] = fds;
    let number = std::os::fd::IntoRawFd::into_raw_fd(fd);
    drop(locked);
    assert_eq!(rebuild_again(&table).unwrap().perf_data, table.numbers);
    assert_eq!(std::fs::read_link(format!("/proc/self/fd/{number}")).unwrap().to_str(), Some("/dev/null"));
}

#[test]
fn an_epoll_set_may_be_large() {
    try_alone(&TRIALS[6]);
}

fn large() {
    let set = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
    let mut fds: Vec<OwnedFd> = Vec::new();
    for data in 0..400 {
        let eventfd = EventFd::new().unwrap();
        set.add(&eventfd, EpollEvent::new(EpollFlags::EPOLLIN, data)).unwrap();
        fds.push(eventfd.into());
    }
    fds.push(set.0);
    let number = fds[400].as_raw_fd();
    let table = record_these(&fds).unwrap().descriptors;
    let recorded = table.numbers.iter().find(|one| one.fd == number).unwrap().description as usize;
    let Kind::Epoll { entries } = &table.descriptions[recorded].kind else { panic!() };
    let mut data: Vec<_> = entries.iter().map(|entry| entry.data).collect();
    data.sort_unstable();
    assert_eq!(data, (0..400).collect::<Vec<u64>>());
    assert_eq!(table.descriptions.len(), 401);
    std::mem::forget(fds);
    rebuild_again(&table).unwrap();
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap();
    assert_eq!(FdInfo::parse(&text).unwrap().targets.len(), 400);
}
