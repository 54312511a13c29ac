//! Where each collector keeps the bounds of what it has allocated: below `top` lie objects, from there to `end`
//! is free. (TLABs lie below `top` as a whole.)
//!
//! # Safety contract of this file
//! Follows pointers from the collected heap to its generations and their spaces, which the collectors make at VM start
//! and keep: a from and a to space change places, but stay the same two structures.
#![allow(unsafe_code)]

use super::vmstructs::{VmStructs, read};
use hotfork_abi::Plain;
use hotfork_abi::record::HeapLayout;

/// All zero, and so nothing to leave out, where this JVM does not describe its heap as 17, 21 and 25 do.
pub fn layout(structs: &VmStructs, collector: &str) -> HeapLayout {
    let layout = match collector {
        "Serial" => serial(structs),
        "Parallel" => parallel(structs),
        "G1" => g1(structs),
        "Shenandoah" => shenandoah(structs),
        _ => None,
    };
    layout.and_then(|layout| Some(HeapLayout { collecting: collecting(structs)?, ..layout })).unwrap_or_else(|| {
        log::debug!("the bounds of {collector}'s heap are unknown: free heap goes into the image");
        HeapLayout::zeroed()
    })
}

/// Whether a stop-the-world collection is under way.
pub fn is_collecting(layout: &HeapLayout) -> bool {
    // SAFETY: the address of a byte of the collected heap's object, which lives as long as the JVM.
    layout.collecting != 0 && unsafe { (layout.collecting as *const u8).read_volatile() } != 0
}

fn heap(structs: &VmStructs) -> Option<u64> {
    structs.value("Universe", "_collectedHeap")
}

/// `_is_gc_active` until 17.
fn collecting(structs: &VmStructs) -> Option<u64> {
    let field = first(&["_is_stw_gc_active", "_is_gc_active"], |field| structs.offset("CollectedHeap", field))?;
    Some(heap(structs)? + field)
}

fn first(names: &[&str], find: impl Fn(&str) -> Option<u64>) -> Option<u64> {
    names.iter().find_map(|name| find(name))
}

/// The pointer at `address`.
///
/// # Safety
/// A word of a structure that the heap keeps lies there.
unsafe fn pointer(address: u64) -> Option<u64> {
    // SAFETY: the caller's promise.
    Some(unsafe { read(address) }).filter(|&pointer| pointer != 0)
}

/// The four spaces of two generations, by the names of the generations' classes and of the old one's space.
///
/// # Safety
/// `young` and `old` are a living JVM's generations, of these classes.
unsafe fn spaces(
    structs: &VmStructs,
    (young, young_class): (u64, &str),
    (old, old_class, old_space): (u64, &str, &str),
) -> Option<[u64; 4]> {
    // SAFETY: the caller's promise: each of these fields is a pointer to a space.
    let space = |at, class, field| unsafe { pointer(at + structs.offset(class, field)?) };
    Some([
        space(young, young_class, "_eden_space")?,
        space(young, young_class, "_from_space")?,
        space(young, young_class, "_to_space")?,
        space(old, old_class, old_space)?,
    ])
}

fn serial(structs: &VmStructs) -> Option<HeapLayout> {
    let generation = |field| {
        let offset = first(&["SerialHeap", "GenCollectedHeap"], |class| structs.offset(class, field))?;
        // SAFETY: with this collector the collected heap is of that class.
        unsafe { pointer(heap(structs)? + offset) }
    };
    let young = (generation("_young_gen")?, "DefNewGeneration");
    let old = (generation("_old_gen")?, "TenuredGeneration", "_the_space");
    // SAFETY: these are Serial's generations.
    let spaces = unsafe { spaces(structs, young, old)? };
    let end = first(&["ContiguousSpace", "Space"], |class| structs.offset(class, "_end"))?;
    Some(HeapLayout { spaces, top: structs.offset("ContiguousSpace", "_top")?, end, ..HeapLayout::zeroed() })
}

fn parallel(structs: &VmStructs) -> Option<HeapLayout> {
    let generation = |field| structs.value("ParallelScavengeHeap", field);
    let young = (generation("_young_gen")?, "PSYoungGen");
    let old = (generation("_old_gen")?, "PSOldGen", "_object_space");
    // SAFETY: the two statics point to Parallel's generations.
    let spaces = unsafe { spaces(structs, young, old)? };
    let offset = |field| structs.offset("MutableSpace", field);
    Some(HeapLayout { spaces, top: offset("_top")?, end: offset("_end")?, ..HeapLayout::zeroed() })
}

fn g1(structs: &VmStructs) -> Option<HeapLayout> {
    let manager = heap(structs)? + structs.offset("G1CollectedHeap", "_hrm")?;
    let named = |old: &'static str, new: &'static str, field| first(&[old, new], |class| structs.offset(class, field));
    let table = manager + named("HeapRegionManager", "G1HeapRegionManager", "_regions")?;
    Some(HeapLayout {
        regions: table + structs.offset("G1HeapRegionTable", "_base")?,
        region_count: table + structs.offset("G1HeapRegionTable", "_length")?,
        top: named("HeapRegion", "G1HeapRegion", "_top")?,
        end: named("HeapRegion", "G1HeapRegion", "_end")?,
        ..HeapLayout::zeroed()
    })
}

fn shenandoah(structs: &VmStructs) -> Option<HeapLayout> {
    let heap = heap(structs)?;
    let offset = |field| structs.offset("ShenandoahHeapRegion", field);
    Some(HeapLayout {
        regions: heap + structs.offset("ShenandoahHeap", "_regions")?,
        region_count: heap + structs.offset("ShenandoahHeap", "_num_regions")?,
        top: offset("_top")?,
        end: offset("_end")?,
        ..HeapLayout::zeroed()
    })
}
