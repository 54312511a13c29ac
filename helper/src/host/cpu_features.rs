//! The CPU features that user code can use, by the bit of CPUID that tells them. HotSpot's JIT and
//! glibc's IFUNCs choose code by them, so a host must have all that the captured JVM saw.
//! What only the kernel uses is left out: it may differ.

use crate::image::manifest::Cpu;

pub const EAX: usize = 0;
pub const EBX: usize = 1;
pub const ECX: usize = 2;
pub const EDX: usize = 3;

/// (leaf, subleaf, register, features as (bit, name))
type Word = (u32, u32, usize, &'static [(u32, &'static str)]);

#[rustfmt::skip]
pub const WORDS: [Word; 11] = [
    (1, 0, ECX, &[(0, "sse3"), (1, "pclmulqdq"), (9, "ssse3"), (12, "fma"), (13, "cx16"), (19, "sse4_1"),
        (20, "sse4_2"), (22, "movbe"), (23, "popcnt"), (25, "aes"), (26, "xsave"), (27, "osxsave"), (28, "avx"),
        (29, "f16c"), (30, "rdrand")]),
    (1, 0, EDX, &[(0, "fpu"), (4, "tsc"), (8, "cx8"), (15, "cmov"), (19, "clflush"), (23, "mmx"), (24, "fxsr"),
        (25, "sse"), (26, "sse2")]),
    (7, 0, EBX, &[(0, "fsgsbase"), (3, "bmi1"), (4, "hle"), (5, "avx2"), (8, "bmi2"), (9, "erms"), (11, "rtm"),
        (16, "avx512f"), (17, "avx512dq"), (18, "rdseed"), (19, "adx"), (21, "avx512ifma"), (23, "clflushopt"),
        (24, "clwb"), (26, "avx512pf"), (27, "avx512er"), (28, "avx512cd"), (29, "sha_ni"), (30, "avx512bw"),
        (31, "avx512vl")]),
    (7, 0, ECX, &[(0, "prefetchwt1"), (1, "avx512vbmi"), (4, "ospke"), (5, "waitpkg"), (6, "avx512_vbmi2"),
        (7, "shstk"), (8, "gfni"), (9, "vaes"), (10, "vpclmulqdq"), (11, "avx512_vnni"), (12, "avx512_bitalg"),
        (14, "avx512_vpopcntdq"), (22, "rdpid"), (25, "cldemote"), (27, "movdiri"), (28, "movdir64b")]),
    (7, 0, EDX, &[(2, "avx512_4vnniw"), (3, "avx512_4fmaps"), (4, "fsrm"), (8, "avx512_vp2intersect"),
        (14, "serialize"), (16, "tsxldtrk"), (20, "ibt"), (22, "amx_bf16"), (23, "avx512_fp16"), (24, "amx_tile"),
        (25, "amx_int8")]),
    (7, 1, EAX, &[(0, "sha512"), (1, "sm3"), (2, "sm4"), (4, "avx_vnni"), (5, "avx512_bf16"), (21, "amx_fp16"),
        (23, "avx_ifma")]),
    (7, 1, EDX, &[(4, "avx_vnni_int8"), (5, "avx_ne_convert"), (10, "avx_vnni_int16"), (14, "prefetchi"),
        (19, "avx10"), (21, "apx_f")]),
    (0xd, 1, EAX, &[(0, "xsaveopt"), (1, "xsavec"), (2, "xgetbv1")]),
    (0x8000_0001, 0, ECX, &[(0, "lahf_lm"), (5, "lzcnt"), (6, "sse4a"), (7, "misalignsse"), (8, "prefetchw"),
        (11, "xop"), (16, "fma4"), (21, "tbm")]),
    (0x8000_0001, 0, EDX, &[(11, "syscall"), (22, "mmxext"), (27, "rdtscp"), (29, "lm"), (30, "3dnowext"),
        (31, "3dnow")]),
    (0x8000_0008, 0, EBX, &[(0, "clzero")]),
];

/// The bits of a register of a leaf that are features.
pub fn mask(leaf: u32, subleaf: u32, register: usize) -> u32 {
    WORDS
        .iter()
        .filter(|word| (word.0, word.1, word.2) == (leaf, subleaf, register))
        .flat_map(|word| word.3)
        .fold(0, |mask, (bit, _)| mask | 1 << bit)
}

fn register(cpu: &Cpu, word: &Word) -> u32 {
    let leaf = cpu.leaves.iter().find(|leaf| (leaf.0, leaf.1) == (word.0, word.1));
    leaf.map_or(0, |leaf| leaf.2[word.2])
}

/// Names of the features that `image` has and `host` lacks.
pub fn missing(image: &Cpu, host: &Cpu) -> Vec<&'static str> {
    let mut names = Vec::new();
    for word in &WORDS {
        let lacking = register(image, word) & !register(host, word);
        names.extend(word.3.iter().filter(|(bit, _)| lacking & (1 << bit) != 0).map(|(_, name)| *name));
    }
    names
}
