//! Starting the helper so that it is never a child of the JVM: the application's own waitpid must
//! not meet it. Two vforks by clone(2) with exit signal 0: no atfork handlers run, no page tables are copied.
//!
//! # Safety contract of this file
//! The functions that run in the children share the JVM's memory (CLONE_VM) while the parent waits
//! (CLONE_VFORK). They touch only the `Plan` and their stacks, make raw system calls through libc's thin
//! wrappers, and end by execve or _exit. In the JVM itself `unsafe` asks one number of the kernel, and reaps a helper by pid.
#![allow(unsafe_code)]

use super::CaptureError;
use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use std::ffi::{CString, c_char, c_int, c_void};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::null;
use std::time::{Duration, Instant};

const STACK: usize = 64 * 1024;
/// The helper's socket, as its command line expects it.
const HELPER_SOCKET: c_int = 3;
/// How long a helper that was left takes to end.
const ENDS_WITHIN: Duration = Duration::from_secs(2);
/// Variables that must not reach the helper.
const DROPPED: [&str; 4] = ["LD_PRELOAD", "LD_LIBRARY_PATH", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS"];

struct Plan {
    program: CString,
    arguments: Vec<*const c_char>,
    environment: Vec<*const c_char>,
    socket: c_int,
    inner_stack_top: *mut c_void,
    helper: c_int,
    /// What execve (or the inner clone) answered, 0 while all is well.
    errno: c_int,
}

/// A helper process. Its socket is closed before it is waited for.
pub struct Helper {
    pub socket: OwnedFd,
    pub adopted: Adopted,
}

/// A helper that this JVM has to reap once it is left: the JVM is pid 1, or a subreaper, and adopts every orphan.
pub struct Adopted(Option<i32>);

impl Adopted {
    /// One that is somebody else's child.
    pub fn none() -> Self {
        Self(None)
    }
}

impl Drop for Adopted {
    fn drop(&mut self) {
        let Some(pid) = self.0 else { return };
        let end = Instant::now() + ENDS_WITHIN;
        // SAFETY: waitpid writes no status (null) and takes numbers; the application may have reaped it, then the answer is -1.
        while unsafe { libc::waitpid(pid, std::ptr::null_mut(), libc::WNOHANG) } == 0 {
            if Instant::now() > end {
                log::warn!("helper {pid} does not end");
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Whether orphans become children of this process.
fn adopts() -> bool {
    let mut subreaper: c_int = 0;
    // SAFETY: the kernel writes one int to the address given.
    unsafe { libc::prctl(libc::PR_GET_CHILD_SUBREAPER, &raw mut subreaper) };
    std::process::id() == 1 || subreaper != 0
}

/// Starts `hotfork` with these arguments.
pub fn start_helper(helper: &Path, arguments: &[&str]) -> Result<Helper, CaptureError> {
    let failed = |reason: String| CaptureError::StartHelper { path: helper.to_path_buf(), reason };
    let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
        .map_err(|errno| failed(errno.desc().into()))?;
    let program = CString::new(helper.as_os_str().as_bytes()).map_err(|_| failed("its path holds a NUL".into()))?;
    let words: Result<Vec<CString>, _> = arguments.iter().map(|&argument| CString::new(argument)).collect();
    let words = words.map_err(|_| failed("one of its arguments holds a NUL".into()))?;
    let variables: Vec<CString> = std::env::vars_os()
        .filter(|(key, _)| !DROPPED.iter().any(|dropped| key == dropped))
        .filter_map(|(key, value)| CString::new([key.as_bytes(), b"=", value.as_bytes()].concat()).ok())
        .collect();
    let mut outer_stack = vec![0u128; STACK / 16];
    let mut inner_stack = vec![0u128; STACK / 16];
    let mut plan = Plan {
        arguments: [program.as_ptr()]
            .into_iter()
            .chain(words.iter().map(|word| word.as_ptr()))
            .chain([null()])
            .collect(),
        environment: variables.iter().map(|variable| variable.as_ptr()).chain([null()]).collect(),
        program,
        socket: theirs.as_raw_fd(),
        inner_stack_top: inner_stack.as_mut_ptr_range().end.cast(),
        helper: 0,
        errno: 0,
    };
    let mut old_mask = SigSet::empty();
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut old_mask))
        .map_err(|errno| failed(errno.desc().into()))?;
    // SAFETY: the child runs `outer_child` on a stack of its own while this thread waits, so the plan
    // outlives it; no signal handler of the JVM can run in the child.
    let child = unsafe {
        let flags = libc::CLONE_VM | libc::CLONE_VFORK;
        libc::clone(outer_child, outer_stack.as_mut_ptr_range().end.cast(), flags, (&raw mut plan).cast())
    };
    let result = if child < 0 { Err(failed(Errno::last().desc().into())) } else { Ok(()) };
    if child > 0 {
        super::session::reap(child);
    }
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&old_mask), None).map_err(|errno| failed(errno.desc().into()))?;
    result?;
    match plan.errno {
        0 => Ok(Helper { socket: ours, adopted: Adopted(adopts().then_some(plan.helper)) }),
        errno => Err(failed(format!("{}: reinstall Hotfork", Errno::from_raw(errno).desc()))),
    }
}

extern "C" fn outer_child(plan: *mut c_void) -> c_int {
    // SAFETY: `plan` is the Plan of the waiting parent; the inner child uses the other stack.
    unsafe {
        let plan = plan.cast::<Plan>();
        let flags = libc::CLONE_VM | libc::CLONE_VFORK;
        (*plan).helper = libc::clone(inner_child, (*plan).inner_stack_top, flags, plan.cast());
        if (*plan).helper < 0 {
            (*plan).errno = *libc::__errno_location();
        }
        libc::_exit(0)
    }
}

extern "C" fn inner_child(plan: *mut c_void) -> c_int {
    // SAFETY: as above. The descriptor table is a copy (no CLONE_FILES), so closing harms nobody.
    unsafe {
        let plan = plan.cast::<Plan>();
        // Own session: a ^C for the JVM must not end the saving.
        libc::setsid();
        if (*plan).socket == HELPER_SOCKET {
            libc::fcntl(HELPER_SOCKET, libc::F_SETFD, 0);
        } else {
            libc::dup2((*plan).socket, HELPER_SOCKET);
        }
        for standard in 0..HELPER_SOCKET {
            libc::close(standard);
            libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
        }
        libc::syscall(libc::SYS_close_range, HELPER_SOCKET + 1, u32::MAX, 0);
        let none: u64 = 0;
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const none, 0, 8);
        libc::execve((*plan).program.as_ptr(), (*plan).arguments.as_ptr(), (*plan).environment.as_ptr());
        (*plan).errno = *libc::__errno_location();
        libc::_exit(127)
    }
}
