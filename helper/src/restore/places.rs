//! Where this process has memory. Near what, is known without asking the kernel: to read /proc/self/maps takes 50 microseconds, which the
//! second thread would begin later. Where exactly, it is asked when that one has begun.
//!
//! # Safety contract of this file
//! `unsafe` is used to ask libc for two numbers, the auxiliary vector's entry for the vdso and the break.
#![allow(unsafe_code)]

use super::operations::{ADDRESS_SPACE_END, merge};
use super::refusal::Refusal;
use super::space::Space;
use crate::host::maps::{self, Mapping};
use hotfork_abi::PAGE;
use hotfork_abi::restore::LEFT_BEHIND;
use std::ops::Range;

/// How near to what it has this process may have more, or get it before it becomes the image. It asks for some hundred KB; libraries,
/// where it has any, lie beside what it maps.
const NEAR: u64 = 256 << 20;

/// The surroundings of program, break, stack, vdso and `mapped`, which mmap(2) gave this process: ascending, merged.
pub fn near_own_memory(mapped: &[u8]) -> Vec<Range<u64>> {
    let on_the_stack = 0u8;
    // SAFETY: both only read what the kernel gave this process; sbrk of 0 moves nothing.
    let (vdso, heap) = unsafe { (libc::getauxval(libc::AT_SYSINFO_EHDR), libc::sbrk(0) as u64) };
    let program = near_own_memory as fn(&[u8]) -> Vec<Range<u64>> as usize as u64;
    near(&[program, heap, &raw const on_the_stack as u64, vdso, mapped.as_ptr() as u64])
}

/// What this process has, and with it room for all that it may ask for from now on: more than it will.
pub fn own_mappings() -> Result<Vec<Mapping>, Refusal> {
    // Or else the compiler sees that nobody needs it.
    drop(std::hint::black_box(Vec::<u8>::with_capacity(512 << 10)));
    maps::own().map_err(|error| Refusal::resource(format!("/proc/self/maps cannot be read: {error}; mount /proc")))
}

/// What the instance is to unmap: nothing where the restorer does, else all but the host's vdso.
pub fn left_behind(maps: &[Mapping], space: &Space, vdso: &Range<u64>) -> Result<Vec<Range<u64>>, Refusal> {
    if !space.zones.are_none() {
        return Ok(Vec::new());
    }
    let own = own(maps, &space.near, vdso);
    if own.len() > LEFT_BEHIND {
        return Err(Refusal::unfit_host(format!(
            "this hotfork has memory in {} places, which is more than it can leave behind; report how it was built",
            own.len()
        )));
    }
    Ok(own)
}

/// What of `maps`, this process's mappings, is its own, joined: what lies in `near` and is not in `but`. Of a stack, which may have grown since,
/// what lies below as well: the kernel keeps a gap there, 1 MB (stack_guard_gap).
fn own(maps: &[Mapping], near: &[Range<u64>], but: &Range<u64>) -> Vec<Range<u64>> {
    const GROWTH: u64 = 128 << 10;
    let is_own = |mapping: &&Mapping| {
        let near = near.iter().any(|range| range.start <= mapping.start && mapping.end <= range.end);
        near && !(but.start <= mapping.start && mapping.end <= but.end)
    };
    let range = |mapping: &Mapping| match mapping.name.as_str() {
        "[stack]" => mapping.start.saturating_sub(GROWTH)..mapping.end,
        _ => mapping.start..mapping.end,
    };
    merge(maps.iter().filter(is_own).map(range).collect())
}

fn near(places: &[u64]) -> Vec<Range<u64>> {
    let mut near: Vec<_> = places
        .iter()
        .filter(|&&place| place != 0 && place < ADDRESS_SPACE_END)
        .map(|place| place & !(PAGE - 1))
        .map(|place| place.saturating_sub(NEAR)..place.saturating_add(NEAR).min(ADDRESS_SPACE_END))
        .collect();
    near.sort_unstable_by_key(|range| range.start);
    merge(near)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_this_process_has_is_there() {
        let mapped = Box::leak(vec![0u8; 4 << 20].into_boxed_slice());
        let near = near_own_memory(mapped);
        // The other tests' threads have stacks and arenas, which hotfork has not: neither has a name. The first thread's stack is not
        // this one's.
        let named = |mapping: &&Mapping| {
            mapping.start < ADDRESS_SPACE_END && !mapping.name.is_empty() && mapping.name != "[stack]"
        };
        for mapping in crate::host::maps::own().unwrap().iter().filter(named) {
            let within = near.iter().any(|range| range.start <= mapping.start && mapping.end <= range.end);
            assert!(within, "{mapping:x?} is not in {near:x?}");
        }
    }

    #[test]
    fn what_is_its_own_is_told_from_the_images() {
        let mapping = |start: u64, end: u64, name: &str| Mapping {
            start,
            end,
            permissions: *b"rw-p",
            inode: 0,
            name: name.into(),
        };
        let maps = [
            mapping(0x1000, 0x3000, "/bin/hotfork"),
            mapping(0x3000, 0x4000, ""),
            mapping(0x10_0000, 0x20_0000, "/an/image"),
            mapping(0x50_0000, 0x50_1000, ""),
            mapping(0x50_1000, 0x50_3000, "[vdso]"),
            mapping(0x70_0000, 0x70_8000, "[stack]"),
        ];
        let own = own(&maps, &[0..0x8000, 0x48_0000..0x78_0000], &(0x50_1000..0x50_3000));
        assert_eq!(own, [0x1000..0x4000, 0x50_0000..0x50_1000, 0x6e_0000..0x70_8000]);
    }

    #[test]
    fn what_is_unknown_or_beyond_all_is_left_out() {
        assert_eq!(
            near(&[0, u64::MAX, (1 << 40) + 8, 1 << 20]),
            [0..(1 << 20) + NEAR, (1 << 40) - NEAR..(1 << 40) + NEAR]
        );
    }
}
