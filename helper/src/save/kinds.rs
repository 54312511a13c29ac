//! Pages by kind, for `inspect` and the report.

use super::areas::{Area, Source};
use crate::image::manifest::PagesOfKind;
use hotfork_abi::PAGE;
use hotfork_abi::record::{KnownRange, RANGE_CODE, RANGE_JAVA_HEAP, RANGE_METASPACE};

const NAMES: [&str; 6] = ["java heap", "metaspace", "code", "native", "stacks", "files"];
const METASPACE: usize = 1;
const CODE: usize = 2;
const NATIVE: usize = 3;
const STACKS: usize = 4;
const FILES: usize = 5;

/// Index into `NAMES`.
pub type Kind = usize;

/// Metaspace, code, and what was changed in files that hold such (the CDS archive): instances read much of it, and write to little.
pub const fn is_mostly_read(kind: Kind) -> bool {
    matches!(kind, METASPACE | CODE | FILES)
}

/// Finds the kind of a page.
pub struct Kinds {
    known: Vec<KnownRange>,
}

impl Kinds {
    pub fn new(known: &[KnownRange]) -> Self {
        let mut known = known.to_vec();
        known.sort_by_key(|range| range.address);
        Self { known }
    }

    pub fn of(&self, area: &Area, page: u64) -> Kind {
        if area.source != Source::Anonymous {
            return match area.source {
                // The CDS archive is a file, and metaspace.
                Source::PrivateFile { .. } => self.known_kind(page).unwrap_or(FILES),
                _ => FILES,
            };
        }
        self.known_kind(page).unwrap_or(if area.stack { STACKS } else { NATIVE })
    }

    /// Nothing but memory of native code.
    pub fn is_native(&self, area: &Area) -> bool {
        self.are(area, NATIVE)
    }

    /// Nothing but the code cache.
    pub fn is_code(&self, area: &Area) -> bool {
        self.are(area, CODE)
    }

    fn are(&self, area: &Area, kind: Kind) -> bool {
        [area.start, area.end - PAGE].iter().all(|&page| self.of(area, page) == kind)
    }

    fn known_kind(&self, page: u64) -> Option<Kind> {
        let range =
            self.known.partition_point(|range| range.address <= page).checked_sub(1).map(|index| &self.known[index])?;
        if page >= range.address + range.length {
            return None;
        }
        match range.kind {
            RANGE_JAVA_HEAP => Some(0),
            RANGE_METASPACE => Some(METASPACE),
            RANGE_CODE => Some(CODE),
            _ => None,
        }
    }
}

#[derive(Clone, Debug, Default)]
pub struct Counts {
    in_image: [u64; NAMES.len()],
    zero: [u64; NAMES.len()],
    repeated: [u64; NAMES.len()],
    dead: [u64; NAMES.len()],
}

impl Counts {
    pub fn in_image(&mut self, kind: Kind) {
        self.in_image[kind] += 1;
    }

    pub fn zero(&mut self, kind: Kind) {
        self.zero[kind] += 1;
    }

    pub fn repeated(&mut self, kind: Kind) {
        self.repeated[kind] += 1;
    }

    pub fn dead(&mut self, kind: Kind) {
        self.dead[kind] += 1;
    }

    pub fn table(&self) -> Vec<PagesOfKind> {
        (0..NAMES.len())
            .map(|kind| PagesOfKind {
                kind: NAMES[kind].into(),
                in_image: self.in_image[kind],
                zero: self.zero[kind],
                repeated: self.repeated[kind],
                dead: self.dead[kind],
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proc::smaps::VmFlags;

    fn area(source: Source, stack: bool) -> Area {
        Area {
            start: 0,
            end: 0x10000,
            protection: 3,
            flags: VmFlags::default(),
            page_size: 4096,
            source,
            mapped_from_image: true,
            holds_pages: true,
            stack,
            performance: false,
            restored: Vec::new(),
        }
    }

    #[test]
    fn known_ranges_come_first() {
        let kinds = Kinds::new(&[
            KnownRange { address: 0x8000, length: 0x1000, kind: RANGE_CODE, spare: 0 },
            KnownRange { address: 0x1000, length: 0x2000, kind: RANGE_JAVA_HEAP, spare: 0 },
        ]);
        let plain = area(Source::Anonymous, false);
        let name = |page| NAMES[kinds.of(&plain, page)];
        assert_eq!(
            [name(0), name(0x1000), name(0x2000), name(0x3000), name(0x8000)],
            ["native", "java heap", "java heap", "native", "code"]
        );
        assert_eq!(NAMES[kinds.of(&area(Source::Anonymous, true), 0)], "stacks");
        assert_eq!(NAMES[kinds.of(&area(Source::Carried, false), 0x1000)], "files");
    }

    #[test]
    fn pages_are_counted() {
        let mut counts = Counts::default();
        counts.in_image(0);
        counts.in_image(0);
        counts.zero(NATIVE);
        counts.dead(0);
        counts.repeated(0);
        let table = counts.table();
        assert_eq!(
            (table[0].kind.as_str(), table[0].in_image, table[0].dead, table[0].repeated),
            ("java heap", 2, 1, 1)
        );
        assert_eq!((table[NATIVE].kind.as_str(), table[NATIVE].zero), ("native", 1));
    }
}
