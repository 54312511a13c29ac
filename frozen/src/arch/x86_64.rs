//! x86-64: raw system calls, the routines that save a thread's registers, and where the kernel
//! puts things in a signal frame.
//!
//! # Safety contract of this file
//! The assembly routines keep the System V calling convention towards their callers: `hotfork_fork` is one call and one return, in the
//! thawed JVM *or* in an instance, never both in one process; `hotfork_park` returns in the JVM alone. What a caller
//! has on its stack at the call must stay as it is until the return, which the routines guarantee by not
//! touching the stack between saving `rsp` and returning.
#![allow(unsafe_code)]

use core::arch::{asm, global_asm};
use core::mem::offset_of;
use hotfork_abi::record::{Registers, STATE_PARKED, ThreadSlot};
use linux_raw_sys::general as nr;

/// What `hotfork_fork` returns in an instance.
pub const INSTANCE: i64 = 1 << 32;

// The saved registers are the first field, so a slot's address is also that of its registers.
const _: () = assert!(offset_of!(ThreadSlot, registers) == 0);

global_asm!(
    // hotfork_park(slot, released: *u32, generation: u32, arrivals: *[u32; 2]); returns in the captured JVM only
    ".globl hotfork_park",
    ".hidden hotfork_park",
    ".type hotfork_park, @function",
    "hotfork_park:",
    "mov [rdi + {rsp}], rsp",
    // Only now may the capturing thread count this one as parked (x86 keeps stores in order).
    "mov dword ptr [rdi + {state}], {parked}",
    "mov r8, rsi",
    "mov r9d, edx",
    "mov eax, 1",
    "lock xadd dword ptr [rcx], eax",
    "inc eax",
    "cmp eax, [rcx + 4]",
    "jne 1f",
    // The last one expected: futex(arrivals, FUTEX_WAKE_PRIVATE, 1)
    "mov rdi, rcx",
    "mov esi, 129",
    "mov edx, 1",
    "mov eax, 202",
    "syscall",
    // Until released - generation >= 0: futex(released, FUTEX_WAIT_PRIVATE, seen, no timeout)
    "1: mov eax, [r8]",
    "mov edx, eax",
    "sub eax, r9d",
    "jns 2f",
    "mov rdi, r8",
    "mov esi, 128",
    "xor r10d, r10d",
    "mov eax, 202",
    "syscall",
    "jmp 1b",
    "2: ret",
    ".size hotfork_park, . - hotfork_park",
    //
    // hotfork_fork(slot, child stack top, child: fn() -> !) -> pid | -errno | INSTANCE
    ".globl hotfork_fork",
    ".hidden hotfork_fork",
    ".type hotfork_fork, @function",
    "hotfork_fork:",
    // The callee-saved registers; rsp points at the return address.
    "mov [rdi + {rbx}], rbx",
    "mov [rdi + {rbp}], rbp",
    "mov [rdi + {r12}], r12",
    "mov [rdi + {r13}], r13",
    "mov [rdi + {r14}], r14",
    "mov [rdi + {r15}], r15",
    "mov [rdi + {rsp}], rsp",
    "mov dword ptr [rdi + {state}], {parked}",
    "mov r9, rsi",
    "mov r8, rdx",
    // clone(0): a plain fork whose exit signal is 0, so that no waitpid(-1) of the application meets it.
    // r8 would be the TLS argument, which is read only with CLONE_SETTLS.
    "xor edi, edi",
    "xor esi, esi",
    "xor edx, edx",
    "xor r10d, r10d",
    "mov eax, 56",
    "syscall",
    "test rax, rax",
    "jz 1f",
    "ret",
    "1: mov rsp, r9",
    "xor ebp, ebp",
    "call r8",
    "ud2",
    ".size hotfork_fork, . - hotfork_fork",
    //
    // hotfork_revive(slot, flags, back: fn(slot) -> !) -> tid | -errno; the new thread calls `back` on the slot's stack, the
    // capturer's continues as hotfork_wake(slot)
    ".globl hotfork_revive",
    ".hidden hotfork_revive",
    ".type hotfork_revive, @function",
    "hotfork_revive:",
    "push rbx",
    "push r12",
    "mov rbx, rdi",
    "mov r12, rdx",
    // clone(flags, stack 0, parent tid 0, child tid, tls): the child shares this stack for the two
    // instructions until it loads its own rsp, and neither of them touches it.
    "mov rdi, rsi",
    "xor esi, esi",
    "xor edx, edx",
    "mov r10, [rbx + {clear_tid}]",
    "mov r8, [rbx + {fs_base}]",
    "mov eax, 56",
    "syscall",
    "test rax, rax",
    "jz 1f",
    "pop r12",
    "pop rbx",
    "ret",
    "1: mov rdi, rbx",
    "cmp qword ptr [rdi + {stack}], 0",
    "je hotfork_wake",
    "mov rsp, [rdi + {stack}]",
    "xor ebp, ebp",
    "call r12",
    "ud2",
    //
    // hotfork_wake(slot) -> !: returns INSTANCE from the slot's hotfork_fork
    ".globl hotfork_wake",
    ".hidden hotfork_wake",
    ".type hotfork_wake, @function",
    "hotfork_wake:",
    "mov rbx, [rdi + {rbx}]",
    "mov rbp, [rdi + {rbp}]",
    "mov r12, [rdi + {r12}]",
    "mov r13, [rdi + {r13}]",
    "mov r14, [rdi + {r14}]",
    "mov r15, [rdi + {r15}]",
    "mov rsp, [rdi + {rsp}]",
    "movabs rax, {instance}",
    "ret",
    ".size hotfork_wake, . - hotfork_wake",
    //
    // hotfork_return(slot) -> !: ends the signal handler of the slot's thread, as its return would. The kernel looks for
    // the frame, whose second word is the ucontext, right below the stack pointer.
    ".globl hotfork_return",
    ".hidden hotfork_return",
    ".type hotfork_return, @function",
    "hotfork_return:",
    "mov rsp, [rdi + {ucontext}]",
    "mov eax, 15",
    "syscall",
    "ud2",
    ".size hotfork_return, . - hotfork_return",
    rbx = const offset_of!(Registers, rbx),
    rbp = const offset_of!(Registers, rbp),
    r12 = const offset_of!(Registers, r12),
    r13 = const offset_of!(Registers, r13),
    r14 = const offset_of!(Registers, r14),
    r15 = const offset_of!(Registers, r15),
    rsp = const offset_of!(Registers, rsp),
    state = const offset_of!(ThreadSlot, state),
    clear_tid = const offset_of!(ThreadSlot, clear_tid),
    fs_base = const offset_of!(ThreadSlot, fs_base),
    stack = const offset_of!(ThreadSlot, stack),
    ucontext = const offset_of!(ThreadSlot, ucontext),
    parked = const STATE_PARKED,
    instance = const INSTANCE,
);

unsafe extern "C" {
    pub fn hotfork_park(slot: *mut ThreadSlot, released: *const u32, generation: u32, arrivals: *const u32);
    pub fn hotfork_fork(slot: *mut ThreadSlot, stack_top: u64, child: extern "C" fn() -> !) -> i64;
    pub fn hotfork_revive(slot: *mut ThreadSlot, flags: u64, back: extern "C" fn(*mut ThreadSlot) -> !) -> i64;
    pub fn hotfork_wake(slot: *mut ThreadSlot) -> !;
    pub fn hotfork_return(slot: *mut ThreadSlot) -> !;
}

/// A raw system call: the result, or minus the error number.
///
/// # Safety
/// The arguments are what the call demands; memory that the kernel writes belongs to the caller.
#[inline(always)]
pub unsafe fn syscall6(number: u64, arguments: [u64; 6]) -> i64 {
    let result: i64;
    // SAFETY: the `syscall` instruction clobbers rax, rcx and r11 only, all declared; what the call
    // itself does to memory is the caller's promise.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") arguments[0],
            in("rsi") arguments[1],
            in("rdx") arguments[2],
            in("r10") arguments[3],
            in("r8") arguments[4],
            in("r9") arguments[5],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// Makes the page of `address` this process's own by a write that changes nothing.
///
/// # Safety
/// Eight bytes of writable memory lie at `address`.
#[inline(always)]
pub unsafe fn touch(address: u64) {
    // SAFETY: the caller's promise; `lock or` with 0 stores what is there, and the kernel sees a write at once.
    // An atomic of core::sync would not do: the compiler may turn one that changes nothing into a load.
    unsafe { asm!("lock or qword ptr [{}], 0", in(reg) address, options(nostack)) };
}

/// `arch_prctl` code to read FS.
pub const ARCH_SET_FS: u64 = 0x1002;
pub const ARCH_GET_FS: u64 = 0x1003;

// Offsets in the kernel's `ucontext` (arch/x86/include/uapi/asm/{ucontext,sigcontext}.h): uc_flags 8,
// uc_link 8, uc_stack 24, then the sigcontext of 256 bytes, then uc_sigmask.
const STACK_ADDRESS: u64 = 16;
const STACK_LENGTH: u64 = 32;
const SIGCONTEXT: u64 = 40;
const R9: u64 = SIGCONTEXT + 8;
const R10: u64 = SIGCONTEXT + 2 * 8;
const RDI: u64 = SIGCONTEXT + 8 * 8;
const RSI: u64 = SIGCONTEXT + 9 * 8;
const RDX: u64 = SIGCONTEXT + 12 * 8;
const RAX: u64 = SIGCONTEXT + 13 * 8;
const RSP: u64 = SIGCONTEXT + 15 * 8;
const RIP: u64 = SIGCONTEXT + 16 * 8;
const SIGMASK: u64 = SIGCONTEXT + 256;

/// A signal frame's `ucontext_t`, as the kernel laid it out.
#[derive(Clone, Copy)]
pub struct Frame(u64);

impl Frame {
    /// # Safety
    /// `ucontext` is the third argument of a running SA_SIGINFO handler of this process, whose
    /// thread does not return from it while the frame is used.
    pub unsafe fn new(ucontext: u64) -> Self {
        Self(ucontext)
    }

    fn word(self, offset: u64) -> u64 {
        // SAFETY: by the contract of `new` the whole ucontext is readable memory of a live frame.
        unsafe { ((self.0 + offset) as *const u64).read_volatile() }
    }

    /// # Safety
    /// `offset` is that of a register which the interrupted thread may find changed.
    unsafe fn set_word(self, offset: u64, value: u64) {
        // SAFETY: by the contract of `new` the whole ucontext is writable memory of a live frame.
        unsafe { ((self.0 + offset) as *mut u64).write_volatile(value) };
    }

    pub fn instruction(self) -> u64 {
        self.word(RIP)
    }

    /// Where the handler interrupted the thread.
    pub fn stack_pointer(self) -> u64 {
        self.word(RSP)
    }

    /// Address and length of the thread's alternate signal stack; length 0 where it has none.
    pub fn alternate_stack(self) -> [u64; 2] {
        [self.word(STACK_ADDRESS), self.word(STACK_LENGTH)]
    }

    /// Signals that were blocked where the handler interrupted the thread.
    pub fn blocked(self) -> u64 {
        self.word(SIGMASK)
    }

    /// Address of the absolute CLOCK_MONOTONIC deadline of an interrupted futex(FUTEX_WAIT_BITSET), the
    /// call beneath every timed wait of glibc and HotSpot: two 8-byte words that the wait will read again.
    pub fn futex_deadline(self) -> Option<u64> {
        const FUTEX_WAIT_BITSET: u64 = 9;
        const FUTEX_CLOCK_REALTIME: u64 = 256;
        const COMMAND: u64 = 0x7f;
        let operation = self.word(RSI) & 0xffff_ffff;
        let is_wait = self.interrupted_call() == Some(-1)
            && operation & COMMAND == FUTEX_WAIT_BITSET
            && operation & FUTEX_CLOCK_REALTIME == 0
            && self.word(R9) as u32 == u32::MAX;
        let deadline = self.word(R10);
        (is_wait && deadline != 0).then_some(deadline)
    }

    /// Only where the call's number stands in the instruction before, as in glibc up to 2.40: the kernel has kept none.
    pub fn interrupted_poll(self) -> Option<InterruptedPoll> {
        if self.interrupted_call() != Some(-1) {
            return None;
        }
        let (load, number) = load_before(self.instruction().wrapping_sub(2));
        let timeout = match number {
            _ if load != MOV_EAX => return None,
            nr::__NR_poll => RDX,
            nr::__NR_epoll_wait | nr::__NR_epoll_pwait => R10,
            _ => return None,
        };
        Some(InterruptedPoll { frame: self, number, timeout: self.word(timeout) as i32 })
    }

    /// futex(2), FUTEX_WAIT or FUTEX_WAIT_BITSET, that the kernel would make again, or a timed one that answers EINTR (known as in
    /// `interrupted_poll`).
    pub fn interrupted_wait(self) -> Option<InterruptedWait> {
        const COMMAND: u64 = 0x7f;
        let answered = match self.interrupted_call()? {
            -1 => true,
            number if number == i64::from(nr::__NR_futex) => false,
            _ => return None,
        };
        let known = if answered {
            load_before(self.instruction().wrapping_sub(2)) == (MOV_EAX, nr::__NR_futex)
                && self.futex_deadline().is_some()
        } else {
            let command = self.word(RSI) & COMMAND;
            command == u64::from(nr::FUTEX_WAIT) || command == u64::from(nr::FUTEX_WAIT_BITSET)
        };
        known.then_some(InterruptedWait { frame: self, answered })
    }

    /// The system call that the thread was interrupted in, if it was: its number where the kernel
    /// has rewound the thread to make the call again, -1 where the call has answered EINTR.
    pub fn interrupted_call(self) -> Option<i64> {
        let rax = self.word(RAX) as i64;
        let rip = self.instruction();
        if rax == -4 && code_at(rip.wrapping_sub(2)) == SYSCALL_INSTRUCTION {
            return Some(-1);
        }
        (rax >= 0 && rax < 1024 && code_at(rip) == SYSCALL_INSTRUCTION).then_some(rax)
    }
}

/// poll(2) or epoll_wait(2) that was interrupted, and answers EINTR if nothing else is said.
#[derive(Clone, Copy)]
pub struct InterruptedPoll {
    frame: Frame,
    number: u32,
    /// Milliseconds; for ever if it is negative.
    pub timeout: i32,
}

impl InterruptedPoll {
    /// The caller does not hear of the interruption: the call is made again.
    pub fn call_again(self) {
        // SAFETY: rip lay behind a `syscall` instruction of two bytes whose arguments are all still there, and rax held
        // the number before it (see `Frame::interrupted_poll`).
        unsafe {
            self.frame.set_word(RIP, self.frame.instruction() - 2);
            self.frame.set_word(RAX, self.number.into());
        }
    }

    /// The caller hears that its time has passed.
    pub fn time_out(self) {
        // SAFETY: rax is where the caller looks for the number of descriptors that are ready.
        unsafe { self.frame.set_word(RAX, 0) };
    }
}

/// A wait of `Frame::interrupted_wait`.
#[derive(Clone, Copy)]
pub struct InterruptedWait {
    frame: Frame,
    answered: bool,
}

impl InterruptedWait {
    /// Address of its word.
    pub fn word(self) -> u64 {
        self.frame.word(RDI)
    }

    /// What the thread has seen there.
    pub fn seen(self) -> u32 {
        self.frame.word(RDX) as u32
    }

    /// Whether it would wait once more: its word holds what the thread has seen.
    ///
    /// # Safety
    /// In an instance only: where the word is not mapped, the thread could not go on anyway.
    pub unsafe fn would_wait(self) -> bool {
        // SAFETY: the thread gave this address to futex(2), which reads four aligned bytes there at the call that it will make.
        unsafe { (self.word() as *const u32).read_volatile() == self.seen() }
    }

    /// The caller does not hear of the interruption.
    pub fn call_again(self) {
        if self.answered {
            // SAFETY: as in `InterruptedPoll::call_again`; the deadline is an absolute one.
            unsafe {
                self.frame.set_word(RIP, self.frame.instruction() - 2);
                self.frame.set_word(RAX, nr::__NR_futex.into());
            }
        }
    }
}

/// `0f 05`
const SYSCALL_INSTRUCTION: u16 = 0x050f;

/// `b8`, and the number
const MOV_EAX: u8 = 0xb8;

/// The five bytes before a `syscall` instruction.
fn load_before(syscall: u64) -> (u8, u32) {
    let from = syscall.wrapping_sub(5);
    // SAFETY: no function begins with a `syscall` instruction, which needs its number loaded first; and as for
    // `code_at`, what lies before is in the same mapping.
    unsafe { ((from as *const u8).read(), ((from + 1) as *const u32).read_unaligned()) }
}

fn code_at(address: u64) -> u16 {
    // SAFETY: called with the instruction pointer of an interrupted thread, or two bytes before it when the
    // thread has just executed something: that is mapped code. Code two bytes before a function's
    // first instruction lies in the same mapping (padding or the function before it); HotSpot's and
    // glibc's mappings never begin with a function's first byte.
    unsafe { (address as *const u16).read_unaligned() }
}

#[cfg(test)]
#[path = "x86_64_tests.rs"]
mod tests;
