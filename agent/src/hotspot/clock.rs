//! Where libjvm calls libc for the monotonic clock: the words of its global offset table, as its relocations name
//! them. `hotfork_frozen::clock` takes their place in a template.
//!
//! # Safety contract of this file
//! Reads libjvm's dynamic section and the tables that it names: mapped, unchanging memory for as long as libjvm is
//! loaded, which is for ever. Two condition variables of our own are made and looked at.
#![allow(unsafe_code)]

use super::{Mapping, libjvm};
use hotfork_abi::Plain;
use hotfork_abi::record::{CALL_CLOCK_GETTIME, CALL_COND_TIMEDWAIT, CLOCK_SLOTS, ClockSlot, JvmClock};
use hotfork_frozen::clock::{originals, replacements};
use std::ffi::CStr;
use std::mem::MaybeUninit;

const NAMES: [(&CStr, u32); 2] =
    [(c"clock_gettime", CALL_CLOCK_GETTIME), (c"pthread_cond_timedwait", CALL_COND_TIMEDWAIT)];

/// `ObjectSynchronizer::_last_async_deflation_time_ns`, in 17, 21 and 25.
pub const LAST_DEFLATION: &[u8] = b"_ZN18ObjectSynchronizer29_last_async_deflation_time_nsE";

// elf.h; the libc crate has none of these.
const DT_PLTRELSZ: u64 = 2;
const DT_STRTAB: u64 = 5;
const DT_SYMTAB: u64 = 6;
const DT_RELA: u64 = 7;
const DT_RELASZ: u64 = 8;
const DT_JMPREL: u64 = 23;
const DT_RELACOUNT: u64 = 0x6fff_fff9;
const R_X86_64_GLOB_DAT: u32 = 6;
const R_X86_64_JUMP_SLOT: u32 = 7;

#[repr(C)]
struct Relocation {
    offset: u64,
    kind: u32,
    symbol: u32,
    addend: i64,
}

#[repr(C)]
struct Symbol {
    name: u32,
    other: [u8; 20],
}

/// The clock's slots; or why an instance of this JVM will see the host's clock.
pub fn look_up(maps: &[Mapping]) -> Result<JvmClock, &'static str> {
    let library = libjvm::loaded().ok_or("libjvm.so is not among the loaded libraries")?;
    let mut clock = JvmClock::zeroed();
    clock.cond_clock = cond_clock().ok_or("this libc's condition variables do not show which clock they use")?;
    // SAFETY: the linker's word on where libjvm and its dynamic section lie.
    for (address, function) in unsafe { slots(library.base, library.dynamic) } {
        let mapping = holder(maps, address).ok_or("a slot of libjvm.so lies in no mapping")?;
        let place = clock.slots.get_mut(clock.slot_count as usize).ok_or("libjvm.so calls the clock in many ways")?;
        let protection = libc::PROT_READ | if mapping.writable { libc::PROT_WRITE } else { 0 };
        *place = ClockSlot { address, protection: protection as u32, function };
        clock.slot_count += 1;
        // SAFETY: a relocated word of libjvm's data.
        let target = original(unsafe { *(address as *const u64) });
        let known = if function == CALL_CLOCK_GETTIME { &mut clock.clock_gettime } else { &mut clock.cond_timedwait };
        if *known != 0 && *known != target {
            return Err("libjvm.so reaches two functions of one name");
        }
        *known = target;
    }
    const _: () = assert!(CLOCK_SLOTS >= 4, "a JUMP_SLOT and a GLOB_DAT for each function");
    if clock.clock_gettime == 0 || clock.cond_timedwait == 0 {
        return Err("libjvm.so does not call clock_gettime and pthread_cond_timedwait of libc");
    }
    for target in [clock.clock_gettime, clock.cond_timedwait] {
        let path = &holder(maps, target).ok_or("a slot of libjvm.so leads nowhere")?.path;
        // Not bound yet, or what another copy of Hotfork has put there.
        if path.ends_with("/libjvm.so") || path.ends_with("/libhotfork.so") {
            return Err("the calls of libjvm.so do not lead to libc");
        }
    }
    Ok(clock)
}

/// The code of libc's timed wait, and that of its replacement here.
pub fn waiting_code(clock: &JvmClock, maps: &[Mapping]) -> Vec<(u64, u64)> {
    let [_, replacement] = replacements();
    let functions = [clock.cond_timedwait, replacement].into_iter().filter(|_| clock.slot_count != 0);
    functions.filter_map(|function| holder(maps, function)).map(|mapping| (mapping.from, mapping.to)).collect()
}

fn holder(maps: &[Mapping], address: u64) -> Option<&Mapping> {
    maps.iter().find(|mapping| (mapping.from..mapping.to).contains(&address))
}

/// What a slot led to before `hotfork_frozen::clock` took its place.
fn original(target: u64) -> u64 {
    let replaced = replacements().into_iter().position(|replacement| replacement == target);
    replaced.map_or(target, |index| originals()[index])
}

/// Addresses of the words through which a library calls the two functions.
///
/// # Safety
/// `base` and `dynamic` are those of a loaded library.
unsafe fn slots(base: u64, dynamic: u64) -> Vec<(u64, u32)> {
    let mut found = Vec::new();
    // SAFETY: the dynamic section ends with a zero tag, and its tables are as long as it says.
    unsafe {
        let value = |wanted: u64| {
            let mut entry = dynamic as *const [u64; 2];
            while (*entry)[0] != 0 && (*entry)[0] != wanted {
                entry = entry.add(1);
            }
            (*entry)[1]
        };
        // glibc has made these absolute already; another linker need not.
        let table = |wanted: u64| match value(wanted) {
            0 => 0,
            address if address < base => base + address,
            address => address,
        };
        let (symbols, strings) = (table(DT_SYMTAB) as *const Symbol, table(DT_STRTAB));
        let size = size_of::<Relocation>();
        let relative = value(DT_RELACOUNT) * size as u64;
        let tables = [
            (table(DT_JMPREL), value(DT_PLTRELSZ)),
            (table(DT_RELA) + relative, value(DT_RELASZ).saturating_sub(relative)),
        ];
        for (table, length) in tables.into_iter().filter(|&(_, length)| length != 0) {
            for relocation in std::slice::from_raw_parts(table as *const Relocation, length as usize / size) {
                if relocation.kind != R_X86_64_JUMP_SLOT && relocation.kind != R_X86_64_GLOB_DAT {
                    continue;
                }
                let name = (*symbols.add(relocation.symbol as usize)).name;
                let name = CStr::from_ptr((strings + u64::from(name)) as *const _);
                if let Some((_, function)) = NAMES.iter().find(|(wanted, _)| *wanted == name) {
                    found.push((base + relocation.offset, *function));
                }
            }
        }
    }
    found
}

/// Where glibc notes a condition variable's clock: the one word in which fresh ones of the two clocks differ, by bit 1.
/// (`__wrefs`, which lies at 36 up to glibc 2.40 and at 28 since.)
fn cond_clock() -> Option<u64> {
    let [realtime, monotonic] = [libc::CLOCK_REALTIME, libc::CLOCK_MONOTONIC].map(fresh_condition);
    let (realtime, monotonic) = (realtime?, monotonic?);
    let mut differing = realtime.iter().zip(&monotonic).enumerate().filter(|(_, (one, other))| one != other);
    let (index, (realtime, monotonic)) = differing.next()?;
    (differing.next().is_none() && *realtime == 0 && *monotonic == 2).then_some(index as u64 * 4)
}

const CONDITION_WORDS: usize = size_of::<libc::pthread_cond_t>() / 4;

fn fresh_condition(clock: libc::clockid_t) -> Option<[u32; CONDITION_WORDS]> {
    let mut attributes = MaybeUninit::<libc::pthread_condattr_t>::zeroed();
    let mut condition = MaybeUninit::<libc::pthread_cond_t>::zeroed();
    // SAFETY: both are initialised by their functions before they are used, and destroyed; the variable is plain
    // memory of this many words, zeroed where initialisation left it alone.
    unsafe {
        let made = libc::pthread_condattr_init(attributes.as_mut_ptr()) == 0
            && libc::pthread_condattr_setclock(attributes.as_mut_ptr(), clock) == 0
            && libc::pthread_cond_init(condition.as_mut_ptr(), attributes.as_ptr()) == 0;
        if !made {
            return None;
        }
        let words = condition.as_ptr().cast::<[u32; CONDITION_WORDS]>().read();
        libc::pthread_cond_destroy(condition.as_mut_ptr());
        libc::pthread_condattr_destroy(attributes.as_mut_ptr());
        Some(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_variable_shows_its_clock() {
        let offset = cond_clock().expect("glibc") as usize / 4;
        assert_eq!(fresh_condition(libc::CLOCK_MONOTONIC).unwrap()[offset], 2);
        assert_eq!(fresh_condition(libc::CLOCK_REALTIME).unwrap()[offset], 0);
    }
}
