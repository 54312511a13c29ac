//! The entry points of a vdso, from its bytes.

use crate::image::manifest::VdsoSymbol;
use object::{Object, ObjectSymbol};

/// Every function that the vdso at `address` exports, at its address.
pub fn symbols(address: u64, bytes: &[u8]) -> Result<Vec<VdsoSymbol>, object::Error> {
    let file = object::File::parse(bytes)?;
    let mut symbols: Vec<VdsoSymbol> = file
        .dynamic_symbols()
        .filter(|symbol| symbol.is_definition() && symbol.kind() == object::SymbolKind::Text)
        .filter_map(|symbol| {
            Some(VdsoSymbol { name: symbol.name().ok()?.to_owned(), address: address + symbol.address() })
        })
        .collect();
    symbols.sort_by(|one, other| (&one.name, one.address).cmp(&(&other.name, other.address)));
    Ok(symbols)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proc::{Process, maps};
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    #[test]
    fn the_own_vdso_tells_the_time() {
        let own = Process(std::process::id() as i32);
        let maps = own.parse("maps", maps::parse).unwrap();
        let vdso = maps.iter().find(|mapping| mapping.name == b"[vdso]").unwrap();
        let mut bytes = vec![0; vdso.length() as usize];
        File::open("/proc/self/mem").unwrap().read_exact_at(&mut bytes, vdso.start).unwrap();
        let symbols = symbols(vdso.start, &bytes).unwrap();
        let clock = symbols.iter().find(|symbol| symbol.name == "__vdso_clock_gettime").unwrap();
        assert!(vdso.range().contains(&clock.address));
    }

    #[test]
    fn other_bytes_are_refused() {
        assert!(symbols(0, b"no vdso").is_err());
    }
}
