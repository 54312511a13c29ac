//! The host's vdso serves the restored JVM: the entry points of the image's vdso, which glibc has
//! cached, are overwritten with jumps into it, or with the system call where it has no such function.
//!
//! # Safety contract of this file
//! `unsafe` is used to read the host's vdso, which the kernel keeps mapped and constant, in the
//! bounds that /proc/self/maps gives, and for one mprotect that changes nothing.
#![allow(unsafe_code)]

use super::refusal::Refusal;
use super::scaffold::HOST_SPAN;
use crate::host::maps::Mapping;
use crate::image::manifest::VdsoSymbol;
use crate::image::read::Image;
use hotfork_abi::Plain;
use hotfork_abi::restore::{HOST_MAPPINGS, HostMapping, PATCHES, Patch};
use object::{Object, ObjectSymbol};
use std::ops::Range;

/// `mov rax, imm64; jmp rax`
const JUMP_LENGTH: u64 = 12;

pub struct HostVdso {
    /// vvar and vdso, ascending, no gaps between them that matter: they move by one distance.
    mappings: Vec<(u64, u64)>,
    base: u64,
    length: usize,
    symbols: Vec<(String, u64)>,
}

/// What becomes of the host's vdso.
pub struct HostPlan {
    pub moves: Vec<HostMapping>,
    pub patches: Vec<Patch>,
    /// It moves into the hole.
    pub in_hole: bool,
    /// Where it is.
    pub place: Range<u64>,
}

impl HostPlan {
    /// `room` is where it may move to: it does where the image has memory in its place.
    pub fn of(image: &Image, occupied: &[Range<u64>], maps: &[Mapping], room: u64) -> Result<Self, Refusal> {
        let host = HostVdso::find(maps)?;
        let place = host.start()..host.start() + host.span();
        let in_hole = occupied.iter().any(|range| range.start < place.end && place.start < range.end);
        if in_hole && host.is_sealed() {
            return Err(Refusal::unfit_host(
                "this kernel forbids moving its vdso, which lies where the JVM has memory; try again, it lies elsewhere each time",
            ));
        }
        if in_hole && host.span() > HOST_SPAN {
            return Err(Refusal::unfit_host("this kernel's vdso is larger than hotfork knows; report its version"));
        }
        let to = if in_hole { room } else { host.start() };
        let patches = host.patches(&image.manifest.entry.vdso, to)?;
        let mapped = |patch: &Patch| {
            occupied.iter().any(|range| range.start <= patch.address && patch.address + patch.length <= range.end)
        };
        if !patches.iter().all(mapped) {
            return Err(Refusal::damaged("is damaged: its vdso is not mapped; take it again"));
        }
        Ok(Self { moves: host.moves(to), patches, in_hole, place })
    }
}

/// What of an image's vdso may be overwritten.
pub fn entry_points(image: &[VdsoSymbol]) -> Range<u64> {
    let start = image.iter().map(|symbol| symbol.address).min().unwrap_or(0);
    let end = image.iter().map(|symbol| symbol.address + JUMP_LENGTH).max().unwrap_or(0);
    start..end
}

impl HostVdso {
    /// Finds it among the helper's mappings.
    pub fn find(maps: &[Mapping]) -> Result<Self, Refusal> {
        // SAFETY: getauxval only reads the auxiliary vector that the kernel gave this process.
        let base = unsafe { libc::getauxval(libc::AT_SYSINFO_EHDR) };
        let position = maps.iter().position(|mapping| mapping.start == base && base != 0);
        let vdso = position.ok_or_else(|| {
            Refusal::unfit_host("this kernel gives processes no vdso; restore on a kernel with vdso=1 (the default)")
        })?;
        let mut mappings: Vec<(u64, u64)> = maps
            .iter()
            .filter(|mapping| mapping.name.starts_with("[vvar"))
            .map(|mapping| (mapping.start, mapping.end))
            .collect();
        if mappings.is_empty() && vdso > 0 {
            // gVisor names neither: its parameter page lies right below.
            let below = &maps[vdso - 1];
            if below.end == base && below.inode == 0 && below.permissions.starts_with(b"r--") {
                mappings.push((below.start, below.end));
            }
        }
        mappings.push((base, maps[vdso].end));
        mappings.sort_unstable();
        if mappings.len() > HOST_MAPPINGS {
            return Err(Refusal::unfit_host(
                "this kernel's vdso has more parts than hotfork knows; report its version",
            ));
        }
        // SAFETY: the kernel maps [start, end) readable for the life of the process, and nothing writes to it.
        let bytes = unsafe { std::slice::from_raw_parts(base as *const u8, (maps[vdso].end - base) as usize) };
        let elf = object::read::elf::ElfFile64::<object::LittleEndian>::parse(bytes).map_err(|error| {
            Refusal::unfit_host(format!("this kernel's vdso cannot be read: {error}; report its version"))
        })?;
        let symbols = elf
            .dynamic_symbols()
            .filter(|symbol| symbol.is_definition() && symbol.address() < bytes.len() as u64)
            .filter_map(|symbol| Some((symbol.name().ok()?.to_owned(), symbol.address())))
            .collect();
        Ok(Self { mappings, base, length: bytes.len(), symbols })
    }

    /// Whether the kernel was built to forbid moving it (CONFIG_MSEAL_SYSTEM_MAPPINGS).
    fn is_sealed(&self) -> bool {
        let (vdso, protection) = (self.base as *mut libc::c_void, libc::PROT_READ | libc::PROT_EXEC);
        // SAFETY: sets the protection that the mapping has; a sealed one answers EPERM, none is changed.
        unsafe { libc::mprotect(vdso, self.length, protection) != 0 }
    }

    pub fn start(&self) -> u64 {
        self.mappings[0].0
    }

    pub fn span(&self) -> u64 {
        self.mappings[self.mappings.len() - 1].1 - self.mappings[0].0
    }

    /// The moves that bring its first mapping to `to`, all the same distance.
    pub fn moves(&self, to: u64) -> Vec<HostMapping> {
        let first = self.start();
        let moved =
            |&(start, end): &(u64, u64)| HostMapping { from: start, to: to + (start - first), length: end - start };
        self.mappings.iter().map(moved).collect()
    }

    /// Patches for the image's entry points, with the host's vdso moved so that its first mapping is at `to`.
    pub fn patches(&self, image: &[VdsoSymbol], to: u64) -> Result<Vec<Patch>, Refusal> {
        let base = to + (self.base - self.start());
        let find = |name: &str| self.symbols.iter().find(|symbol| symbol.0 == name).map(|symbol| base + symbol.1);
        patches(image, find)
    }
}

/// The system call behind a vdso function.
fn system_call(name: &str) -> Option<u32> {
    let number = match name.strip_prefix("__vdso_").unwrap_or(name) {
        "clock_gettime" => libc::SYS_clock_gettime,
        "clock_getres" => libc::SYS_clock_getres,
        "gettimeofday" => libc::SYS_gettimeofday,
        "time" => libc::SYS_time,
        "getcpu" => libc::SYS_getcpu,
        "getrandom" => libc::SYS_getrandom,
        _ => return None,
    };
    u32::try_from(number).ok()
}

fn code(name: &str, target: Option<u64>) -> Option<Vec<u8>> {
    // getrandom's state lies in the image, laid out as the capture's kernel wished: never another's.
    let target = target.filter(|_| !name.ends_with("getrandom"));
    Some(match target {
        Some(address) => [&[0x48, 0xb8][..], &address.to_le_bytes(), &[0xff, 0xe0]].concat(),
        None => [&[0xb8][..], &system_call(name)?.to_le_bytes(), &[0x0f, 0x05, 0xc3]].concat(),
    })
}

fn patches(image: &[VdsoSymbol], find: impl Fn(&str) -> Option<u64>) -> Result<Vec<Patch>, Refusal> {
    let mut sorted: Vec<&VdsoSymbol> = image.iter().collect();
    sorted.sort_by_key(|symbol| symbol.address);
    // Names share an address: `clock_gettime` is `__vdso_clock_gettime`.
    sorted.dedup_by_key(|symbol| symbol.address);
    let mut list = Vec::with_capacity(sorted.len());
    for (index, symbol) in sorted.iter().enumerate() {
        // Enters an SGX enclave: no JVM does.
        if symbol.name.contains("sgx") {
            continue;
        }
        let Some(code) = code(&symbol.name, find(&symbol.name)) else {
            return Err(Refusal::unfit_host(format!(
                "this kernel's vdso lacks {}, which the image's has; restore on the kernel it was taken on, or take it again here",
                symbol.name
            )));
        };
        let room = sorted.get(index + 1).map_or(JUMP_LENGTH, |next| next.address - symbol.address);
        if room < JUMP_LENGTH || list.len() == PATCHES {
            return Err(Refusal::unfit_host("the image's vdso has no room for jumps; take it again on another kernel"));
        }
        let mut patch = Patch { address: symbol.address, length: code.len() as u64, ..Patch::zeroed() };
        patch.bytes[..code.len()].copy_from_slice(&code);
        list.push(patch);
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbols(list: &[(&str, u64)]) -> Vec<VdsoSymbol> {
        list.iter().map(|&(name, address)| VdsoSymbol { name: name.into(), address }).collect()
    }

    #[test]
    fn finds_the_hosts() {
        let vdso = HostVdso::find(&crate::host::maps::own().unwrap()).unwrap();
        assert!(vdso.symbols.iter().any(|symbol| symbol.0 == "__vdso_clock_gettime"));
        let moves = vdso.moves(0x10000);
        assert_eq!(moves[0].to, 0x10000);
        assert!(moves.iter().all(|m| m.from - m.to == moves[0].from - 0x10000), "one distance");
    }

    #[test]
    fn jumps_where_the_host_has_it_and_calls_where_not() {
        let image = symbols(&[("__vdso_time", 0x2000), ("time", 0x2000), ("__vdso_getcpu", 0x1000)]);
        let list = patches(&image, |name| (name == "__vdso_time").then_some(0x7fff_1234_5678)).unwrap();
        assert_eq!(list.len(), 2);
        assert_eq!(&list[0].bytes[..8], [0xb8, 0x35, 1, 0, 0, 0x0f, 0x05, 0xc3]);
        assert_eq!(list[0].length, 8);
        assert_eq!(&list[1].bytes[..12], [0x48, 0xb8, 0x78, 0x56, 0x34, 0x12, 0xff, 0x7f, 0, 0, 0xff, 0xe0]);
    }

    #[test]
    fn getrandom_is_always_the_system_call() {
        let list = patches(&symbols(&[("__vdso_getrandom", 0x1000)]), |_| Some(1)).unwrap();
        assert_eq!(&list[0].bytes[..5], [0xb8, 0x3e, 1, 0, 0]);
    }

    #[test]
    fn unknown_and_crowded_functions_are_refused() {
        let unknown = patches(&symbols(&[("__vdso_new", 0x1000)]), |_| None).err().unwrap();
        assert!(unknown.failure.message.contains("lacks __vdso_new"));
        let crowded = patches(&symbols(&[("__vdso_time", 0x1000), ("__vdso_getcpu", 0x1008)]), |_| None);
        assert!(crowded.err().unwrap().failure.message.contains("no room"));
    }
}
