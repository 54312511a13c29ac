use super::*;
use crate::proc::maps;
use crate::scratch::Directory;

const JVM: &str = "1000-2000 r-xp 00000000 fe:00 7 /usr/lib/jvm/jdk/lib/server/libjvm.so\n";

fn status() -> Status {
    Status { state: 'S', rss_anonymous: 300_000_000, swap: 1, ..Status::default() }
}

fn check_with(lines: &str, status: &Status, change: impl FnOnce(&mut Limits)) -> Result<(), Failure> {
    let mut limits = Limits { max_stop: Duration::from_millis(200), room: 1 << 40, free_hugetlb: 0 };
    change(&mut limits);
    let maps = maps::parse(format!("{JVM}{lines}").as_bytes()).unwrap();
    check(&maps, status, Path::new("/images/app.image"), &limits)
}

fn refusal(lines: &str) -> String {
    let failure = check_with(lines, &status(), |_| ()).unwrap_err();
    assert_eq!(failure.code, ExitCode::Refused);
    failure.message
}

#[test]
fn an_ordinary_jvm_passes() {
    let lines = "\
3000-4000 rw-s 00000000 fe:00 9 /tmp/hsperfdata_root/18422
4000-5000 r--s 00000000 fe:00 9 /usr/lib/jvm/jdk/lib/modules
5000-6000 rw-p 00000000 00:00 0 \n";
    check_with(lines, &status(), |_| ()).unwrap();
}

#[test]
fn shared_memory_is_refused_by_name() {
    assert!(
        refusal("3000-4000 rw-s 0 00:01 9 /memfd:java_heap (deleted)\n").starts_with("cannot capture a JVM with ZGC")
    );
    let line = "3000-4000 rw-s 0 fe:00 9 /data/lmdb/data.mdb\n";
    assert_eq!(
        refusal(line),
        "cannot capture: /data/lmdb/data.mdb is mapped at 0x3000-0x4000: a writable shared mapping would be shared by all \
         instances; close it before the capture"
    );
    assert!(
        refusal("3000-4000 rw-s 0 00:01 9 /dev/zero (deleted)\n")
            .contains("shared anonymous memory is mapped at 0x3000")
    );
    assert!(refusal("3000-4000 rw-s 0 00:01 9 /SYSV00000000 (deleted)\n").contains("System V shared memory"));
    assert!(refusal("3000-4000 rw-s 0 00:0e 9 anon_inode:[io_uring]\n").contains("io_uring cannot be carried"));
    assert!(refusal("3000-4000 r--s 0 00:05 9 /dev/dri/card0\n").contains("memory of a device"));
}

#[test]
fn processes_that_cannot_be_captured() {
    let with = |state| check_with("", &Status { state, ..status() }, |_| ()).unwrap_err().message;
    assert!(with('Z').contains("first thread of the JVM has ended"));
    assert!(with('T').contains("continue it (kill -CONT) first"));
    assert!(refusal("3000-4000 r-xp 0 fe:00 9 /lib/ld-musl-x86_64.so.1\n").contains("runs on musl"));
    let maps = maps::parse(b"1000-2000 r-xp 0 fe:00 7 /bin/sleep\n").unwrap();
    let limits = Limits { max_stop: Duration::ZERO, room: 0, free_hugetlb: 0 };
    assert!(check(&maps, &status(), Path::new("/i"), &limits).unwrap_err().message.ends_with("it is no HotSpot JVM"));
}

#[test]
fn huge_pages_need_a_second_set() {
    let status = Status { hugetlb: 64 << 20, ..status() };
    let failure = check_with("", &status, |limits| limits.free_hugetlb = 32 << 20).unwrap_err();
    assert!(failure.message.contains("68 MB of hugetlb pages are mapped and 34 MB are free"), "{failure}");
    check_with("", &status, |limits| limits.free_hugetlb = 64 << 20).unwrap();
}

#[test]
fn a_fork_that_takes_too_long_is_refused() {
    let failure = check_with("", &status(), |limits| limits.max_stop = Duration::from_millis(2)).unwrap_err();
    assert_eq!(
        failure.message,
        "cannot capture: forking 300 MB of private memory alone would stop the JVM for about 3 ms, more than the limit of 2 ms; \
         raise max-stop"
    );
}

#[test]
fn a_disk_that_is_too_small_is_told_before() {
    let failure = check_with("", &status(), |limits| limits.room = 5_000_000).unwrap_err();
    assert_eq!(failure.code, ExitCode::SaveFailed);
    assert_eq!(
        failure.message,
        "cannot save image /images/app.image: it may need 301 MB, and 5 MB are free there; make room, or name another --image"
    );
}

#[test]
fn pools_of_all_sizes_count() {
    let directory = Directory::new("pools");
    for (name, free) in [("hugepages-2048kB", "3\n"), ("hugepages-1048576kB", "0\n")] {
        std::fs::create_dir(directory.path().join(name)).unwrap();
        std::fs::write(directory.path().join(name).join("free_hugepages"), free).unwrap();
    }
    assert_eq!(free_hugetlb(directory.path()), 6 << 20);
    assert_eq!(free_hugetlb(Path::new("/nowhere")), 0);
}
