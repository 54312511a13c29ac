//! A tiny image, made by hand, whose "JVM" is a page of machine code that checks what it finds and
//! ends with a status that says so.
//!
//! # Safety contract of this file
//! `unsafe` is used to read the bytes between two labels of this file's own assembly.
#![allow(unsafe_code)]
// Each test program uses its own part of this.
#![allow(dead_code)]

use hotfork_abi::restore::*;
use hotfork_abi::{ABI_VERSION, PAGE, Plain};
use hotfork_helper::image::checksum;
use hotfork_helper::image::format::{FORMAT_VERSION, Header, MAGIC, PAGES_START};
use hotfork_helper::image::manifest::*;
use std::arch::global_asm;
use std::mem::offset_of;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

pub const CODE: u64 = 0x10_0000_0000;
pub const DATA: u64 = CODE + PAGE;
pub const VDSO: u64 = CODE + 2 * PAGE;
pub const STACK: u64 = 0x10_1000_0000;
pub const STACK_LENGTH: u64 = 4 * PAGE;
pub const BREAK: u64 = 0x10_2000_0000;
pub const PERF: u64 = 0x10_3000_0000;
pub const DATA_TEXT: &str = "restored\n";

/// What the code exits with when all is as it should be; 81 and on name what is not.
pub const GOOD: i32 = 42;

// Entered with InstanceArgs in rdi. Writes the new environment and the data page's text to stdout.
global_asm!(
    ".pushsection .rodata",
    "tiny_begin:",
    "mov rbx, rdi",
    // 81: the stack pointer is not as after a call, 82: rbp is not 0
    "mov rax, rsp",
    "and eax, 15",
    "mov r12d, 81",
    "cmp eax, 8",
    "jne 9f",
    "inc r12d",
    "test rbp, rbp",
    "jne 9f",
    // 83: the scaffold, which the restorer's second thread has left, cannot be unmapped
    "inc r12d",
    "mov rcx, [rbx + {second_thread}]",
    "test rcx, rcx",
    "jz 3f",
    "2:",
    "pause",
    "cmp dword ptr [rcx], 0",
    "jne 2b",
    "3:",
    "mov rdi, [rbx + {scaffold}]",
    "mov rsi, [rbx + {scaffold_length}]",
    "mov eax, 11",
    "syscall",
    "test rax, rax",
    "jne 9f",
    // 84: clock_gettime through the image's vdso fails, 85: so does the function the host lacks (getrandom)
    "inc r12d",
    "mov edi, 1",
    "lea rsi, [rsp - 256]",
    "mov rax, {vdso} + 256",
    "sub rsp, 8",
    "call rax",
    "test rax, rax",
    "jne 9f",
    "inc r12d",
    "lea rdi, [rsp - 256]",
    "mov esi, 8",
    "xor edx, edx",
    "mov rax, {vdso} + 512",
    "call rax",
    "cmp rax, 8",
    "jne 9f",
    // 86: the break is not the image's
    "inc r12d",
    "xor edi, edi",
    "mov eax, 12",
    "syscall",
    "mov rcx, {brk}",
    "cmp rax, rcx",
    "jne 9f",
    // 87: a descriptor is open above the standard three (and the one for the times)
    "inc r12d",
    "mov rdi, [rbx + {times_fd}]",
    "mov eax, 2",
    "cmp rdi, rax",
    "cmovl rdi, rax",
    "inc rdi",
    "mov esi, 1",
    "mov eax, 72",
    "syscall",
    "cmp rax, -9",
    "jne 9f",
    // environment, then data
    "mov edi, 1",
    "mov rsi, [rbx + {environment}]",
    "mov rdx, [rbx + {environment_length}]",
    "mov eax, 1",
    "syscall",
    "mov edi, 1",
    "mov rsi, {data}",
    "mov edx, {length}",
    "mov eax, 1",
    "syscall",
    "mov r12d, {good}",
    // the ignored signals, where the second thread's id stood, and the data's text to the descriptor for the times, if there is one
    "mov r13, [rbx + {times_fd}]",
    "test r13, r13",
    "js 9f",
    "mov rdi, r13",
    "lea rsi, [rbx + {ignored_signals}]",
    "mov edx, 8",
    "mov eax, 1",
    "syscall",
    "mov rdi, r13",
    "lea rsi, [rbx + {second_thread}]",
    "mov edx, 8",
    "mov eax, 1",
    "syscall",
    "mov rdi, r13",
    "mov rsi, {data}",
    "mov edx, {length}",
    "mov eax, 1",
    "syscall",
    "9:",
    "mov edi, r12d",
    "mov eax, 231",
    "syscall",
    "ud2",
    "tiny_return:",
    "ret",
    "tiny_end:",
    ".popsection",
    vdso = const VDSO,
    brk = const BREAK,
    data = const DATA,
    length = const DATA_TEXT.len(),
    good = const GOOD,
    scaffold = const offset_of!(InstanceArgs, scaffold),
    scaffold_length = const offset_of!(InstanceArgs, scaffold_length),
    second_thread = const offset_of!(InstanceArgs, second_thread),
    environment = const offset_of!(InstanceArgs, environment),
    environment_length = const offset_of!(InstanceArgs, environment_length),
    ignored_signals = const offset_of!(InstanceArgs, ignored_signals),
    times_fd = const offset_of!(InstanceArgs, times_fd),
);

unsafe extern "C" {
    static tiny_begin: [u8; 0];
    static tiny_return: [u8; 0];
    static tiny_end: [u8; 0];
}

fn code() -> &'static [u8] {
    // SAFETY: both labels lie in this file's assembly, the second behind the first, in read-only data.
    unsafe {
        let start = (&raw const tiny_begin).cast::<u8>();
        let length = (&raw const tiny_end).cast::<u8>().offset_from(start);
        std::slice::from_raw_parts(start, length as usize)
    }
}

/// Where the code does nothing but return.
fn returns() -> u64 {
    // SAFETY: as in `code`.
    let offset = unsafe { (&raw const tiny_return).cast::<u8>().offset_from((&raw const tiny_begin).cast()) };
    CODE + offset as u64
}

pub struct Tiny {
    pub manifest: Manifest,
    pub operations: Vec<MapOperation>,
    pub pages: Vec<u8>,
}

pub fn operation(kind: u32, address: u64, length: u64, offset: u64, protection: i32) -> MapOperation {
    let protection = protection as u32;
    MapOperation { address, length, offset, operation: kind, protection, flags: 0, file: FILE_IMAGE }
}

impl Tiny {
    pub fn new() -> Self {
        let mut pages = vec![0; 4 * PAGE as usize];
        pages[..code().len()].copy_from_slice(code());
        pages[PAGE as usize..][..DATA_TEXT.len()].copy_from_slice(DATA_TEXT.as_bytes());
        pages[2 * PAGE as usize..3 * PAGE as usize].fill(0xcc);
        pages[3 * PAGE as usize..][..4].copy_from_slice(b"perf");
        let (read, write, exec) = (libc::PROT_READ, libc::PROT_WRITE, libc::PROT_EXEC);
        let operations = vec![
            operation(OP_ANONYMOUS, STACK, STACK_LENGTH, 0, read | write),
            operation(OP_PRIVATE_FILE, VDSO, PAGE, PAGES_START + 2 * PAGE, read | exec),
            operation(OP_ANONYMOUS, DATA, PAGE, 0, read | write),
            operation(OP_COPY, DATA, PAGE, PAGES_START + PAGE, 0),
            operation(OP_PROTECT, DATA, PAGE, 0, read),
            operation(OP_PRIVATE_FILE, CODE, PAGE, PAGES_START, read | exec),
            operation(OP_NONE, 0, 0, 0, 0),
        ];
        Self { manifest: manifest(), operations, pages }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let manifest = postcard::to_stdvec(&self.manifest).unwrap();
        let operations = MapOperation::slice_bytes(&self.operations);
        let chunk = *blake3::hash(&self.pages).as_bytes();
        let mut header = Header::zeroed();
        header.magic = MAGIC;
        header.format_version = FORMAT_VERSION;
        header.abi_version = ABI_VERSION;
        header.pages_offset = PAGES_START;
        header.pages_length = self.pages.len() as u64;
        header.operations_offset = header.pages_offset + header.pages_length;
        header.operation_count = self.operations.len() as u64;
        header.manifest_offset = header.operations_offset + operations.len() as u64;
        header.manifest_length = manifest.len() as u64;
        header.chunks_offset = header.manifest_offset + header.manifest_length;
        header.chunk_count = 1;
        header.file_length = header.chunks_offset + 32;
        let tail = [operations, &manifest, &chunk].concat();
        header.digest = checksum::of_header_and_tail(&header, &tail);
        let mut bytes = header.as_bytes().to_vec();
        bytes.resize(PAGES_START as usize, 0);
        [&bytes[..], &self.pages, &tail].concat()
    }
}

fn manifest() -> Manifest {
    let cpu = hotfork_helper::host::cpu_x86_64::read();
    let page = |number: u64| CODE + number * PAGE;
    let symbol = |name: &str, at: u64| VdsoSymbol { name: name.into(), address: VDSO + at };
    Manifest {
        hotfork_version: "0".into(),
        identity: CommandIdentity {
            java: "/java".into(),
            java_build_id: String::new(),
            arguments: vec!["Tiny".into()],
            environment: Vec::new(),
            cwd: "/".into(),
            class_path: Vec::new(),
        },
        jdk: Jdk {
            home: "/jdk".into(),
            vm_name: "Tiny VM".into(),
            vm_version: "1".into(),
            vm_vendor: "none".into(),
            collector: "Serial".into(),
        },
        cpu,
        taken: Taken {
            host: "here".into(),
            kernel: "6.0".into(),
            pid: 1,
            uid: nix::unistd::geteuid().as_raw(),
            clocks: ClockValues { monotonic: 1, boottime: 1, realtime: 1 },
            boot_id: String::new(),
            stopped: 1,
            occasion: "asked for".into(),
            rest: String::new(),
            evidence: None,
        },
        threads: vec![Thread { tid: 1, name: "main".into() }],
        files: Vec::new(),
        descriptors: Descriptors::default(),
        cwd: "/".into(),
        entry: Entry {
            record: DATA,
            instance_prepare: returns(),
            instance_others: returns(),
            instance_entry: CODE,
            entry_stack: STACK + STACK_LENGTH,
            curbrk: 0,
            vdso: vec![
                symbol("__vdso_clock_gettime", 256),
                symbol("clock_gettime", 256),
                symbol("__vdso_getrandom", 512),
            ],
            memory_map: MemoryMapFields {
                start_code: page(0),
                end_code: page(1),
                start_data: page(1),
                end_data: page(2),
                start_brk: BREAK,
                brk: BREAK,
                start_stack: STACK,
                arg_start: DATA,
                arg_end: DATA + 9,
                env_start: DATA,
                env_end: DATA,
                auxv: vec![0; 16],
            },
            perf_address: 0,
            perf_length: 0,
            perf_name_capacity: 0,
            perf_operation: None,
            perf_file: None,
            leader_tid: 1,
            clock_goes_on: false,
        },
        pages: vec![PagesOfKind { kind: "code".into(), in_image: 4, zero: 0, repeated: 0, dead: 0 }],
        mapping_count: 4,
        private_writable: 1 << 20,
        total_mapped: 1 << 20,
        trial: None,
        max_heap: 0,
    }
}

/// A directory that is removed with all that is in it.
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Self {
        // Tests of one process run side by side, and two may choose the same name.
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("hotfork-{name}-{}-{count}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        Self(path)
    }

    /// Writes `bytes` as an image that may be trusted.
    pub fn image(&self, bytes: &[u8]) -> PathBuf {
        let path = self.0.join("image");
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

pub fn hotfork() -> Command {
    Command::new(env!("CARGO_BIN_EXE_hotfork"))
}

pub fn restore(image: &Path) -> Output {
    hotfork().arg("restore").arg(image).output().unwrap()
}

/// Changes one byte of a file.
pub fn flip(path: &Path, offset: u64) {
    let file = std::fs::File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 1], offset).unwrap();
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
