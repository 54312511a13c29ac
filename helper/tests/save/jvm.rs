//! The stand-in for a JVM with its agent and its template: a child of the tests.

use hotfork_abi::capture::*;
use hotfork_abi::record::{CaptureRecord, KnownRange, MAGIC, RANGE_JAVA_HEAP, STATE_PARKED, ThreadSlot};
use hotfork_abi::template::{END, EQUAL_PAGES, PROTECT, Reply, Request, UP, Up, WRITE};
use hotfork_abi::{ABI_VERSION, PAGE, Plain, Text, VERSION};
use nix::sys::socket::*;
use std::cell::UnsafeCell;
use std::fs::File;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

pub const HEAP: u64 = 0x10_0000_0000;
pub const HEAP_PAGES: u64 = 512;
/// Pages of the heap that hold one byte.
pub const SEVENS: std::ops::Range<u64> = 200..400;
pub const HIDDEN: u64 = 0x11_0000_0000;
pub const FILE: u64 = 0x12_0000_0000;
pub const SHARED: u64 = 0x13_0000_0000;
pub const CARRIED: u64 = 0x14_0000_0000;
pub const WIPED: u64 = 0x15_0000_0000;
pub const COPIED: u64 = 0x16_0000_0000;
pub const STOP_BEGAN: u64 = 77_000_000;
pub const STOPPED: u64 = 4_000_000;

struct Static<T>(UnsafeCell<T>);
// SAFETY: one thread fills them before the fork; the template, a process of its own, reads them.
unsafe impl<T> Sync for Static<T> {}

static RECORD: Static<[u8; size_of::<CaptureRecord>()]> = Static(UnsafeCell::new([0; size_of::<CaptureRecord>()]));
static SLOT: Static<[u8; size_of::<ThreadSlot>()]> = Static(UnsafeCell::new([0; size_of::<ThreadSlot>()]));
static STACK: Static<[u64; 4096]> = Static(UnsafeCell::new([0; 4096]));

std::arch::global_asm!(
    ".globl stand_in_alive",
    "stand_in_alive:",
    "mov eax, 1",
    "mov edi, 1",
    "lea rsi, [rip + 2f]",
    "mov edx, 6",
    "syscall",
    "mov eax, 231",
    "mov edi, 42",
    "syscall",
    "2: .ascii \"alive\\n\"",
    ".globl stand_in_nothing",
    "stand_in_nothing: ret",
);
unsafe extern "C" {
    /// Entry of an instance: says so, and exits with 42.
    fn stand_in_alive();
    /// What comes before it.
    fn stand_in_nothing();
}

#[test]
#[ignore = "the child of the other tests"]
fn stand_in() {
    let Some(directory) = std::env::var_os("STAND_IN").map(PathBuf::from) else { return };
    let fault = std::env::var("STAND_IN_FAULT").unwrap();
    let told = Jvm { directory, fault }.capture();
    println!("TOLD {told}");
}

struct Jvm {
    directory: PathBuf,
    fault: String,
}

impl Jvm {
    fn capture(&self) -> String {
        self.make_memory();
        let record = self.make_record();
        let socket = self.start_helper();
        // What a real agent does not have open: the file that cargo's test harness may.
        let mut begin = Begin {
            kind: BEGIN,
            abi_version: ABI_VERSION,
            pid: std::process::id() as i32,
            mode: 0o640,
            max_stop: if self.fault == "max-stop" { 0 } else { 200_000_000 },
            better_than: 0,
            tries_left: 0,
            version: Text::new(if self.fault == "version" { "0.0.0" } else { VERSION }),
            image: Text::new(self.directory.join("app.image").to_str().unwrap()),
            agent: Text::new(std::env::current_exe().unwrap().to_str().unwrap()),
            occasion: Text::new("asked for"),
            rest: Text::empty(),
            trial: Text::empty(),
            evidence: Plain::zeroed(),
            own_descriptors: [-1; 8],
        };
        begin.own_descriptors[0] = socket.as_raw_fd();
        send_message(&socket, &begin, &[]);
        let (answer, control) = receive(&socket);
        if kind(&answer) == REFUSED {
            return refusal(&answer);
        }
        assert_eq!(kind(&answer), READY);
        let control = control[0];
        match self.fault.as_str() {
            "abandon" => {
                send_message(&socket, &Refused { kind: ABANDONED, exit_code: 115, reason: Text::new("no") }, &[]);
                return wait_for_end(&socket);
            }
            "vanish" => {
                // What the helper sees of a JVM that is gone; but its end can be waited for.
                shutdown(socket.as_raw_fd(), Shutdown::Write).unwrap();
                return wait_for_end(&socket);
            }
            _ => {}
        }
        let numbers = open_numbers(&[socket.as_raw_fd(), control]);
        let mut message = Descriptors { kind: DESCRIPTORS, last: 1, count: numbers.len() as u32, numbers: [0; 250] };
        message.numbers[..numbers.len()].copy_from_slice(&numbers);
        send_message(&socket, &message, &numbers);
        let (answer, _) = receive(&socket);
        if kind(&answer) == REFUSED {
            return refusal(&answer);
        }
        assert_eq!(kind(&answer), RECORDED);
        // SAFETY: the child only makes system calls on memory that exists already.
        let template = unsafe { libc::fork() };
        if template == 0 {
            serve_template(control, record, self.fault == "template");
        }
        send_message(
            &socket,
            &Forked { kind: FORKED, template_pid: template, stop_began: STOP_BEGAN, stopped: STOPPED },
            &[],
        );
        let (answer, _) = receive(&socket);
        let told = match kind(&answer) {
            SAVED => format!("saved {}", Saved::read(&answer).unwrap().image_size),
            REFUSED => refusal(&answer),
            other => panic!("message {other}"),
        };
        // The helper has let it go.
        // SAFETY: waits for the child made above.
        assert_eq!(unsafe { libc::waitpid(template, std::ptr::null_mut(), 0) }, template);
        wait_for_end(&socket);
        told
    }

    fn make_memory(&self) {
        let file = |name: &str, first: u8, pages: u64| {
            let path = self.directory.join(name);
            let mut bytes = vec![0; (pages * PAGE) as usize];
            bytes[0] = first;
            std::fs::write(&path, bytes).unwrap();
            File::open(path).unwrap()
        };
        let write = libc::PROT_READ | libc::PROT_WRITE;
        map(HEAP, HEAP_PAGES, write, None, libc::MAP_PRIVATE);
        poke(HEAP, 1);
        poke(HEAP + PAGE, 0);
        poke(HEAP + 100 * PAGE, 2);
        SEVENS.for_each(|page| (0..PAGE).for_each(|byte| poke(HEAP + page * PAGE + byte, 7)));
        map(HIDDEN, 1, write, None, libc::MAP_PRIVATE);
        poke(HIDDEN, 3);
        protect(HIDDEN, 1, libc::PROT_NONE);
        // Read-only data that is mapped executable is no small data file: it is mapped again.
        let data = file("data", b'f', 300);
        map(FILE, 300, write, Some(&data), libc::MAP_PRIVATE);
        poke(FILE + PAGE, 4);
        map(SHARED, 2, libc::PROT_READ, Some(&data), libc::MAP_SHARED);
        let carried = file("carried", b'c', 2);
        // Longer than its file: what lies behind it cannot be read.
        map(CARRIED, 4, libc::PROT_READ, Some(&carried), libc::MAP_PRIVATE);
        std::fs::remove_file(self.directory.join("carried")).unwrap();
        map(WIPED, 1, write, None, libc::MAP_PRIVATE);
        poke(WIPED, 6);
        advise(WIPED, libc::MADV_WIPEONFORK);
        map(COPIED, 1, write, None, libc::MAP_PRIVATE);
        poke(COPIED, 5);
        protect(COPIED, 1, libc::PROT_READ);
        let library = file("libjvm.so", 0, 1);
        map(0x17_0000_0000, 1, libc::PROT_READ, Some(&library), libc::MAP_PRIVATE);
        match self.fault.as_str() {
            "shared" => map(0x18_0000_0000, 1, write, None, libc::MAP_SHARED),
            "dontfork" => {
                map(0x18_0000_0000, 1, write, None, libc::MAP_PRIVATE);
                advise(0x18_0000_0000, libc::MADV_DONTFORK);
            }
            "max-stop" => {
                map(0x18_0000_0000, 30_000, write, None, libc::MAP_PRIVATE);
                (0..30_000).for_each(|page| poke(0x18_0000_0000 + page * PAGE, 1));
            }
            "descriptor" => std::mem::forget(std::net::UdpSocket::bind("127.0.0.1:0").unwrap()),
            _ => {}
        }
    }

    fn make_record(&self) -> Up {
        let mut slot = ThreadSlot::zeroed();
        slot.tid = std::process::id() as i32;
        slot.state = STATE_PARKED;
        slot.name[..5].copy_from_slice(b"first");
        let mut record = CaptureRecord::zeroed();
        record.magic = MAGIC;
        record.abi_version = ABI_VERSION;
        record.pid = slot.tid;
        record.slots = SLOT.0.get() as u64;
        record.slot_count = 1;
        record.instance_prepare = stand_in_nothing as *const () as u64;
        record.instance_others = stand_in_nothing as *const () as u64;
        record.instance_entry = stand_in_alive as *const () as u64;
        record.entry_stack = STACK.0.get() as u64 + 4096 * 8 - 64;
        record.range_count = 1;
        record.ranges[0] = KnownRange { address: HEAP, length: HEAP_PAGES * PAGE, kind: RANGE_JAVA_HEAP, spare: 0 };
        record.java_home = Text::new("/nowhere/jdk");
        record.collector = Text::new("Serial");
        // SAFETY: the only thread that uses them fills them.
        unsafe {
            (*SLOT.0.get()).copy_from_slice(slot.as_bytes());
            (*RECORD.0.get()).copy_from_slice(record.as_bytes());
        }
        let size = size_of::<CaptureRecord>() as u64;
        Up { kind: UP, abi_version: ABI_VERSION, record: RECORD.0.get() as u64, record_size: size }
    }

    /// Through a shell that ends at once, so that the helper is nobody's child here.
    fn start_helper(&self) -> OwnedFd {
        let (own, other) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).unwrap();
        let number = other.as_raw_fd();
        let limit = if self.fault == "file-size" { "ulimit -f 64; " } else { "" };
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("{limit}exec 0</dev/null 1>&0 2>&0; \"$STAND_IN_HELPER\" serve-capture &"));
        // SAFETY: dup2 and nothing else between fork and exec.
        unsafe {
            shell.pre_exec(move || {
                if libc::dup2(number, 3) != 3 || (number == 3 && libc::fcntl(3, libc::F_SETFD, 0) != 0) {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(())
            });
        }
        assert!(shell.status().unwrap().success());
        own
    }
}

fn map(address: u64, pages: u64, protection: i32, file: Option<&File>, flags: i32) {
    let (number, kind) = file.map_or((-1, libc::MAP_ANONYMOUS), |file| (file.as_raw_fd(), 0));
    let flags = flags | kind | libc::MAP_FIXED_NOREPLACE;
    // SAFETY: a new mapping where there is none (NOREPLACE).
    let mapped = unsafe { libc::mmap(address as *mut _, (pages * PAGE) as usize, protection, flags, number, 0) };
    assert_eq!(mapped as u64, address, "{}", std::io::Error::last_os_error());
}

fn protect(address: u64, pages: u64, protection: i32) {
    // SAFETY: a mapping of the stand-in's own.
    assert_eq!(unsafe { libc::mprotect(address as *mut _, (pages * PAGE) as usize, protection) }, 0);
}

fn advise(address: u64, advice: i32) {
    // SAFETY: a mapping of the stand-in's own, whose contents nobody needs.
    assert_eq!(unsafe { libc::madvise(address as *mut _, PAGE as usize, advice) }, 0);
}

fn poke(address: u64, value: u8) {
    // SAFETY: a writable mapping of the stand-in's own.
    unsafe { (address as *mut u8).write_volatile(value) }
}

fn open_numbers(own: &[RawFd]) -> Vec<RawFd> {
    let directory = std::fs::read_dir("/proc/self/fd").unwrap();
    let numbers: Vec<RawFd> =
        directory.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap()).collect();
    // The directory's own descriptor is closed by now.
    let open = |number: &RawFd| Path::new("/proc/self/fd").join(number.to_string()).exists();
    numbers.into_iter().filter(|number| !own.contains(number)).filter(open).collect()
}

fn kind(message: &[u8]) -> u32 {
    u32::from_le_bytes(message[..4].try_into().unwrap())
}

fn refusal(message: &[u8]) -> String {
    let refused = Refused::read(message).unwrap();
    format!("refused {} {}", refused.exit_code, refused.reason.as_str())
}

fn send_message<M: Plain>(socket: &OwnedFd, message: &M, descriptors: &[RawFd]) {
    let rights = [ControlMessage::ScmRights(descriptors)];
    let control = if descriptors.is_empty() { &[][..] } else { &rights[..] };
    sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(message.as_bytes())], control, MsgFlags::MSG_NOSIGNAL, None)
        .unwrap();
}

fn receive(socket: &OwnedFd) -> (Vec<u8>, Vec<RawFd>) {
    let mut bytes = vec![0; 65536];
    let mut control = nix::cmsg_space!([RawFd; 4]);
    let mut vector = [IoSliceMut::new(&mut bytes)];
    let message =
        recvmsg::<()>(socket.as_raw_fd(), &mut vector, Some(&mut control), MsgFlags::MSG_CMSG_CLOEXEC).unwrap();
    let descriptors = message.cmsgs().unwrap().find_map(|part| match part {
        ControlMessageOwned::ScmRights(numbers) => Some(numbers),
        _ => None,
    });
    let length = message.bytes;
    assert_ne!(length, 0, "the helper is gone");
    bytes.truncate(length);
    (bytes, descriptors.unwrap_or_default())
}

/// Until the helper has cleaned up and ended.
fn wait_for_end(socket: &OwnedFd) -> String {
    let mut byte = [0; 1];
    while recv(socket.as_raw_fd(), &mut byte, MsgFlags::empty()).is_ok_and(|length| length > 0) {}
    "nothing".into()
}

/// What `hotfork_frozen::template` does, by the same protocol.
fn serve_template(control: RawFd, up: Up, dies: bool) -> ! {
    let mut request = Box::new(Request::zeroed());
    let mut reply = Box::new(Reply::zeroed());
    // SAFETY: ends this process at once, which has nothing to clean up.
    let exit = |code| -> ! { unsafe { libc::_exit(code) } };
    // SAFETY: the template's only thread; numbers and buffers are its own.
    unsafe {
        libc::close_range(0, control as u32 - 1, 0);
        libc::close_range(control as u32 + 1, u32::MAX, 0);
    }
    if dies || send(control, up.as_bytes(), MsgFlags::empty()).is_err() {
        exit(0);
    }
    loop {
        let mut space = [0u8; 64];
        // SAFETY: both are plain C structures, for which all zero is a valid value.
        let (mut vector, mut header) = unsafe { std::mem::zeroed::<(libc::iovec, libc::msghdr)>() };
        vector.iov_base = request.as_bytes_mut().as_mut_ptr().cast();
        vector.iov_len = size_of::<Request>();
        header.msg_iov = &raw mut vector;
        header.msg_iovlen = 1;
        header.msg_control = space.as_mut_ptr().cast();
        header.msg_controllen = space.len();
        // SAFETY: header, vector and buffers live on this stack or in boxes made before.
        if unsafe { libc::recvmsg(control, &raw mut header, 0) } <= 0 || request.kind == END {
            exit(0);
        }
        let file = i32::from_ne_bytes(space[16..20].try_into().unwrap());
        *reply = Reply { kind: request.kind, ..Reply::zeroed() };
        // SAFETY: the helper names memory of this process; the kernel answers EFAULT where there is none.
        unsafe {
            let range = request.ranges[0];
            match request.kind {
                WRITE => {
                    for (index, range) in request.ranges[..request.count as usize].iter().enumerate() {
                        let length = range.length as usize;
                        let written = libc::pwrite(file, range.address as *const _, length, range.offset as i64);
                        if written != length as isize {
                            let errno = std::io::Error::last_os_error().raw_os_error();
                            reply.errno = if written >= 0 { libc::EFAULT } else { errno.unwrap_or(libc::EIO) };
                            reply.failed = index as u64;
                            break;
                        }
                    }
                    libc::close(file);
                }
                PROTECT => {
                    if libc::mprotect(range.address as *mut _, range.length as usize, request.protection as i32) != 0 {
                        reply.errno = std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO);
                    }
                }
                EQUAL_PAGES => {
                    for page in 0..range.length / PAGE {
                        let start = (range.address + page * PAGE) as *const u8;
                        let bytes = std::slice::from_raw_parts(start, PAGE as usize);
                        if bytes.iter().all(|&byte| byte == bytes[0]) {
                            let bits = if bytes[0] == 0 { &mut reply.zero } else { &mut reply.equal };
                            bits[page as usize / 64] |= 1 << (page % 64);
                        }
                    }
                }
                _ => reply.errno = libc::EINVAL,
            }
        }
        if send(control, reply.as_bytes(), MsgFlags::empty()).is_err() {
            exit(0);
        }
    }
}
