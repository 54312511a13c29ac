//! What CPUID and XGETBV say: features, and the layout of the XSAVE area that signal frames have.
//!
//! # Safety contract of this file
//! CPUID exists on every x86-64 CPU and changes nothing. XGETBV is executed only after CPUID said
//! that the operating system enabled XSAVE.
#![allow(unsafe_code)]

use super::cpu_features::{EAX, EBX, ECX, EDX, WORDS, mask, missing};
use crate::image::manifest::Cpu;
use std::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};

const OSXSAVE: u32 = 1 << 27;

fn cpuid(leaf: u32, subleaf: u32) -> [u32; 4] {
    let result = __cpuid_count(leaf, subleaf);
    [result.eax, result.ebx, result.ecx, result.edx]
}

/// Highest basic and highest extended leaf.
fn highest() -> (u32, u32) {
    (__cpuid(0).eax, __cpuid(0x8000_0000).eax)
}

fn xcr0(leaf_1: [u32; 4]) -> u64 {
    if leaf_1[ECX] & OSXSAVE == 0 {
        return 0;
    }
    #[target_feature(enable = "xsave")]
    fn read() -> u64 {
        // SAFETY: register 0 is XCR0, which every CPU with XSAVE enabled has.
        unsafe { _xgetbv(0) }
    }
    // SAFETY: OSXSAVE is set, so the CPU has XSAVE and the kernel lets user code execute XGETBV.
    unsafe { read() }
}

/// Everything that decides whether an image runs here: feature bits only, and the XSAVE layout.
/// `vendor` and `model` are left empty: `read` fills them too.
pub fn read_features() -> Cpu {
    let (basic, extended) = highest();
    let exists = |leaf: u32| if leaf < 0x8000_0000 { leaf <= basic } else { leaf <= extended };
    let mut leaves: Vec<(u32, u32, [u32; 4])> = Vec::new();
    let mut leaf_1 = [0; 4];
    for &(leaf, subleaf, _, _) in &WORDS {
        if !exists(leaf) || leaves.iter().any(|known| (known.0, known.1) == (leaf, subleaf)) {
            continue;
        }
        let mut registers = cpuid(leaf, subleaf);
        if leaf == 1 {
            leaf_1 = registers;
        }
        for register in [EAX, EBX, ECX, EDX] {
            registers[register] &= mask(leaf, subleaf, register);
        }
        leaves.push((leaf, subleaf, registers));
    }
    let xcr0 = xcr0(leaf_1);
    let mut xsave_components = Vec::new();
    let mut xsave_size = 0;
    if xcr0 != 0 && exists(0xd) {
        xsave_size = cpuid(0xd, 0)[EBX];
        // Components 0 and 1 (x87, SSE) lie in the legacy area, whose layout never changes.
        for component in (2..63).filter(|component| xcr0 & (1 << component) != 0) {
            let [size, offset, ..] = cpuid(0xd, component);
            xsave_components.push((component, offset, size));
        }
    }
    Cpu { vendor: String::new(), model: String::new(), leaves, xcr0, xsave_size, xsave_components }
}

fn text(words: &[u32]) -> String {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).take_while(|&byte| byte != 0).collect();
    String::from_utf8_lossy(&bytes).trim().to_owned()
}

pub fn read() -> Cpu {
    let leaf_0 = cpuid(0, 0);
    let vendor = text(&[leaf_0[EBX], leaf_0[EDX], leaf_0[ECX]]);
    let model = if highest().1 >= 0x8000_0004 {
        text(&[cpuid(0x8000_0002, 0), cpuid(0x8000_0003, 0), cpuid(0x8000_0004, 0)].concat())
    } else {
        String::new()
    };
    Cpu { vendor, model, ..read_features() }
}

/// Why code and signal frames of `image` cannot run on `host`, or nothing if they can.
pub fn mismatch(image: &Cpu, host: &Cpu) -> Option<String> {
    let lacking = missing(image, host);
    if !lacking.is_empty() {
        return Some(format!("this CPU lacks {}, which the image's CPU ({}) has", lacking.join(", "), image.model));
    }
    if image.xcr0 != host.xcr0 {
        return Some(format!(
            "the XSAVE components differ (XCR0 {:#x} in the image, {:#x} here): vector registers would be lost",
            image.xcr0, host.xcr0
        ));
    }
    if image.xsave_size != host.xsave_size || image.xsave_components != host.xsave_components {
        return Some(format!(
            "this CPU lays out its XSAVE area differently ({} bytes in the image, {} here): vector registers would be lost",
            image.xsave_size, host.xsave_size
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_cpu_fits_itself() {
        let cpu = read();
        assert!(!cpu.vendor.is_empty());
        assert!(cpu.leaves.iter().any(|leaf| leaf.0 == 1 && leaf.2[EDX] & (1 << 26) != 0), "x86-64 has SSE2");
        assert_eq!(mismatch(&cpu, &cpu), None);
    }

    #[test]
    fn a_missing_feature_is_named() {
        let mut host = read();
        let image = host.clone();
        for leaf in &mut host.leaves {
            if leaf.0 == 1 {
                leaf.2[EDX] &= !(1 << 26);
            }
        }
        assert!(mismatch(&image, &host).unwrap().starts_with("this CPU lacks sse2, which"));
        assert_eq!(mismatch(&host, &image), None, "a CPU may have more");
    }

    #[test]
    fn another_xsave_layout_is_refused() {
        let image = read();
        let host = Cpu { xcr0: image.xcr0 ^ 4, ..image.clone() };
        assert!(mismatch(&image, &host).unwrap().contains("XCR0"));
        let host = Cpu { xsave_size: image.xsave_size + 8, ..image.clone() };
        assert!(mismatch(&image, &host).unwrap().contains("lays out its XSAVE area differently"));
        let host = Cpu { xsave_components: vec![(2, 1, 1)], ..image.clone() };
        assert!(mismatch(&image, &host).is_some());
    }
}
