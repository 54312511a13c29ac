//! Where metaspace lies. No structure that vmStructs describes tells its ranges, but every class does: its
//! `Klass` lies in class space, its constant pool in the other part. Both are cut from root chunks, which are
//! aligned to their size and hold metaspace only.
//!
//! The diagnostic command `VM.metaspace` knows the ranges too, but stops the JVM for 5 to 15 ms with the
//! thousand loaders of a Spring service. This walk stops nothing: everything is read through /proc/self/mem, since
//! loaders may be unloaded meanwhile, and believed only where loader and class name each other.

use super::Mapping;
use super::vmstructs::VmStructs;
use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// The smallest root chunk of 17, 21 and 25 (metaspace::chunklevel::MAX_CHUNK_BYTE_SIZE; 25 has larger ones).
const ROOT_CHUNK: u64 = 4 << 20;
/// No application has more loaders; a list that does not end is one that changed under the reader.
const LOADERS_AT_MOST: u32 = 1_000_000;

struct Offsets {
    head: u64,
    next: u64,
    klasses: u64,
    loader_of_klass: u64,
    constants: u64,
}

impl Offsets {
    fn find(structs: &VmStructs) -> Option<Self> {
        Some(Self {
            head: structs.address("ClassLoaderDataGraph", "_head")?,
            next: structs.offset("ClassLoaderData", "_next")?,
            klasses: structs.offset("ClassLoaderData", "_klasses")?,
            loader_of_klass: structs.offset("Klass", "_class_loader_data")?,
            constants: structs.offset("InstanceKlass", "_constants")?,
        })
    }
}

/// `(from, to)` of the root chunks that were found, ascending, adjacent ones joined.
pub fn ranges(structs: &VmStructs, maps: &[Mapping]) -> Vec<(u64, u64)> {
    match (Offsets::find(structs), File::open("/proc/self/mem")) {
        (Some(offsets), Ok(memory)) => join(&chunks(&offsets, &memory, maps)),
        (offsets, memory) => {
            log::debug!("metaspace is not told apart: vmStructs {}, memory {memory:?}", offsets.is_some());
            Vec::new()
        }
    }
}

fn chunks(offsets: &Offsets, memory: &File, maps: &[Mapping]) -> BTreeSet<u64> {
    let word = |address: u64| {
        let mut bytes = [0; 8];
        memory.read_exact_at(&mut bytes, address).ok().map(|()| u64::from_le_bytes(bytes)).filter(|&word| word != 0)
    };
    // Classes of the CDS archive lie in its file mapping, which is no metaspace.
    let anonymous = |address: u64| {
        let index = maps.partition_point(|mapping| mapping.from <= address).checked_sub(1);
        index.is_some_and(|index| {
            let mapping = &maps[index];
            address < mapping.to && mapping.private && mapping.writable && mapping.path.is_empty()
        })
    };
    let mut found = BTreeSet::new();
    let mut loader = word(offsets.head);
    for _ in 0..LOADERS_AT_MOST {
        let Some(this) = loader else { break };
        let klass = word(this + offsets.klasses).filter(|&klass| word(klass + offsets.loader_of_klass) == Some(this));
        if let Some(klass) = klass {
            let places = [Some(klass), word(klass + offsets.constants)];
            found.extend(
                places.into_iter().flatten().filter(|&place| anonymous(place)).map(|place| place & !(ROOT_CHUNK - 1)),
            );
        }
        loader = word(this + offsets.next);
    }
    found
}

fn join(chunks: &BTreeSet<u64>) -> Vec<(u64, u64)> {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for &chunk in chunks {
        match ranges.last_mut() {
            Some(last) if last.1 == chunk => last.1 += ROOT_CHUNK,
            _ => ranges.push((chunk, chunk + ROOT_CHUNK)),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adjacent_chunks_are_one_range() {
        let chunks = BTreeSet::from([0, ROOT_CHUNK, 4 * ROOT_CHUNK]);
        assert_eq!(join(&chunks), [(0, 2 * ROOT_CHUNK), (4 * ROOT_CHUNK, 5 * ROOT_CHUNK)]);
    }
}
