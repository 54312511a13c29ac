//! Signal frames of threads that were interrupted in a system call.

extern crate std;

use super::*;
use std::boxed::Box;
use std::vec;
use std::vec::Vec;

const EINTR: i64 = -4;

struct Interrupted {
    code: Vec<u8>,
    ucontext: Box<[u64; 128]>,
}

/// A thread behind `mov eax, number; syscall`.
fn interrupted(number: u32, rax: i64) -> Interrupted {
    let mut code = vec![0x90, MOV_EAX];
    code.extend(number.to_le_bytes());
    code.extend(SYSCALL_INSTRUCTION.to_le_bytes());
    code.push(0xc3);
    let mut ucontext = Box::new([0; 128]);
    ucontext[RIP as usize / 8] = code.as_ptr() as u64 + 8;
    ucontext[RAX as usize / 8] = rax as u64;
    ucontext[R10 as usize / 8] = 1000;
    ucontext[RDX as usize / 8] = u64::from(u32::MAX);
    Interrupted { code, ucontext }
}

impl Interrupted {
    fn frame(&mut self) -> Frame {
        // SAFETY: memory as large as a ucontext, which lives longer than the frame in these tests.
        unsafe { Frame::new(self.ucontext.as_mut_ptr() as u64) }
    }

    fn registers(&self) -> (u64, u64) {
        (self.ucontext[RIP as usize / 8] - self.code.as_ptr() as u64, self.ucontext[RAX as usize / 8])
    }
}

#[test]
fn a_poll_is_known_by_the_code_before_it() {
    let timeout = |number, rax| interrupted(number, rax).frame().interrupted_poll().map(|poll| poll.timeout);
    assert_eq!(timeout(nr::__NR_epoll_wait, EINTR), Some(1000));
    assert_eq!(timeout(nr::__NR_epoll_pwait, EINTR), Some(1000));
    assert_eq!(timeout(nr::__NR_poll, EINTR), Some(-1));
    // It was answered, or is another call.
    assert_eq!(timeout(nr::__NR_poll, 1), None);
    assert_eq!(timeout(nr::__NR_futex, EINTR), None);
    let mut loaded_from_memory = interrupted(nr::__NR_poll, EINTR);
    loaded_from_memory.code[1] = 0xa1;
    assert!(loaded_from_memory.frame().interrupted_poll().is_none());
}

/// A thread in futex(&word, operation, 7, a deadline, -, FUTEX_BITSET_MATCH_ANY).
fn waiting(word: &u32, operation: u32, rax: i64) -> Interrupted {
    let mut waiting = interrupted(nr::__NR_futex, rax);
    waiting.ucontext[RDI as usize / 8] = core::ptr::from_ref(word) as u64;
    waiting.ucontext[RSI as usize / 8] = operation.into();
    waiting.ucontext[RDX as usize / 8] = 7;
    waiting.ucontext[R9 as usize / 8] = u32::MAX.into();
    if rax >= 0 {
        // The kernel has rewound it.
        waiting.ucontext[RIP as usize / 8] -= 2;
    }
    waiting
}

#[test]
fn a_wait_waits_once_more_while_its_word_is_the_same() {
    const PRIVATE: u32 = nr::FUTEX_PRIVATE_FLAG;
    let futex = i64::from(nr::__NR_futex);
    let would = |word: u32, operation, rax| {
        // SAFETY: the word is there.
        waiting(&word, operation, rax).frame().interrupted_wait().map(|wait| unsafe { wait.would_wait() })
    };
    assert_eq!(would(7, nr::FUTEX_WAIT | PRIVATE, futex), Some(true));
    assert_eq!(would(8, nr::FUTEX_WAIT | PRIVATE, futex), Some(false));
    assert_eq!(would(7, nr::FUTEX_WAIT_BITSET | PRIVATE, EINTR), Some(true));
    // Another command; a relative or a real time; another call; answered.
    assert_eq!(would(7, nr::FUTEX_LOCK_PI | PRIVATE, futex), None);
    assert_eq!(would(7, nr::FUTEX_WAIT | PRIVATE, EINTR), None);
    assert_eq!(would(7, nr::FUTEX_WAIT_BITSET | nr::FUTEX_CLOCK_REALTIME, EINTR), None);
    assert_eq!(would(7, nr::FUTEX_WAIT, nr::__NR_poll.into()), None);
    assert_eq!(would(7, nr::FUTEX_WAIT_BITSET, -110), None);
}

#[test]
fn a_timed_wait_is_made_again() {
    for rax in [EINTR, nr::__NR_futex.into()] {
        let mut again = waiting(&7, nr::FUTEX_WAIT_BITSET, rax);
        again.frame().interrupted_wait().unwrap().call_again();
        assert_eq!(again.registers(), (6, nr::__NR_futex.into()));
    }
}

#[test]
fn it_is_made_again_or_has_timed_out() {
    let mut again = interrupted(nr::__NR_epoll_wait, EINTR);
    again.frame().interrupted_poll().unwrap().call_again();
    assert_eq!(again.registers(), (6, nr::__NR_epoll_wait.into()));
    let mut out = interrupted(nr::__NR_epoll_wait, EINTR);
    out.frame().interrupted_poll().unwrap().time_out();
    assert_eq!(out.registers(), (8, 0));
}
