//! libjvm's symbol table, where it was not stripped (the Debian, Temurin and Oracle builds have one).

use super::{Mapping, libjvm};
use object::{Object, ObjectSymbol, ReadCache};
use std::fs::File;

/// Where the libjvm that is mapped here has these.
pub fn find<const N: usize>(maps: &[Mapping], names: [&[u8]; N]) -> [Option<u64>; N] {
    let mut found = [None; N];
    // What cannot be read names nothing.
    let _ = look(maps, &names, &mut found);
    found
}

fn look(maps: &[Mapping], names: &[&[u8]], found: &mut [Option<u64>]) -> Option<()> {
    let base = libjvm::loaded()?.base;
    let mapping = maps.iter().find(|mapping| mapping.path.ends_with("/libjvm.so"))?;
    let file = ReadCache::new(File::open(&mapping.path).ok()?);
    let elf = object::File::parse(&file).ok()?;
    for symbol in elf.symbols() {
        let name = symbol.name_bytes().unwrap_or_default();
        if let Some((_, place)) = names.iter().zip(&mut *found).find(|(wanted, _)| **wanted == name) {
            *place = Some(base + symbol.address());
        }
    }
    Some(())
}
