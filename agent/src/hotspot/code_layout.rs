//! Where HotSpot keeps its code heaps, and what its threads are at: for the detector, and for whoever leaves free
//! blocks of compiled code out of an image.

use super::vmstructs::VmStructs;
use hotfork_abi::Plain;
use hotfork_abi::record::{CODE_HEAPS, CodeLayout};

/// Collectors that free compiled code in a stop-the-world collection only. (Shenandoah and ZGC do it beside the application.)
const STOP_THE_WORLD: [&str; 3] = ["Serial", "Parallel", "G1"];

/// All zero, and so nothing to leave out, where this JVM does not describe its code cache and threads as 17, 21 and 25 do.
pub fn layout(structs: &VmStructs, collector: &str) -> CodeLayout {
    let layout = Some(collector).filter(|collector| STOP_THE_WORLD.contains(collector)).and_then(|_| find(structs));
    layout.unwrap_or_else(|| {
        log::debug!("free code of a JVM with {collector} goes into the image");
        CodeLayout::zeroed()
    })
}

/// Also where code is freed at any time.
pub fn find(structs: &VmStructs) -> Option<CodeLayout> {
    let found = structs.code_heaps()?;
    let mut heaps = [0; CODE_HEAPS];
    heaps.get_mut(..found.len())?.copy_from_slice(&found);
    let memory = structs.offset("CodeHeap", "_memory")?;
    let low = structs.offset("VirtualSpace", "_low")?;
    let wide = structs.field_type("HeapBlock::Header", "_length")? == "size_t";
    Some(CodeLayout {
        heaps,
        heap_count: found.len() as u64,
        low: memory + low,
        high: memory + structs.offset("VirtualSpace", "_high")?,
        segment_map: structs.offset("CodeHeap", "_segmap")? + low,
        log2_segment: structs.offset("CodeHeap", "_log2_segment_size")?,
        length: structs.offset("HeapBlock::Header", "_length")?,
        length_size: if wide { 8 } else { 4 },
        used: structs.offset("HeapBlock::Header", "_used")?,
        threads: structs.address("ThreadsSMRSupport", "_java_thread_list")?,
        thread_count: structs.offset("ThreadsList", "_length")?,
        thread_array: structs.offset("ThreadsList", "_threads")?,
        thread_state: structs.offset("JavaThread", "_thread_state")?,
    })
}
