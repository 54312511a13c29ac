//! Long stretches of one byte (a clean card table, a filled array): the image holds a part of each, which is mapped over and over.

use super::template::{Template, TemplateError};
use hotfork_abi::PAGE;
use std::ops::Range;

/// Shorter ones are stored whole: each further mapping costs a restore some microseconds.
const LEAST: u64 = 64 * PAGE;
/// Mappings of one stretch.
const PARTS: u64 = 4;

/// `pages` hold one byte each over and over, and not zero; ascending.
pub fn find(pages: &[u64], template: &Template) -> Result<Vec<Range<u64>>, TemplateError> {
    let long = long(pages);
    if long.is_empty() {
        return Ok(Vec::new());
    }
    let bytes = template.gather(&long, 1)?;
    Ok(stretches(&long, &bytes))
}

/// Those with so many beside them that it may be worthwhile to ask for their bytes.
fn long(pages: &[u64]) -> Vec<u64> {
    let runs = pages.chunk_by(|one, next| one + PAGE == *next);
    runs.filter(|run| run.len() as u64 * PAGE >= LEAST).flatten().copied().collect()
}

fn stretches(pages: &[u64], bytes: &[u8]) -> Vec<Range<u64>> {
    let pages: Vec<_> = pages.iter().copied().zip(bytes.iter().copied()).collect();
    let alike = pages.chunk_by(|(page, byte), (next, next_byte)| page + PAGE == *next && byte == next_byte);
    let stretches = alike.filter_map(|all| Some(all.first()?.0..all.last()?.0 + PAGE));
    stretches.filter(|stretch| stretch.end - stretch.start >= LEAST).collect()
}

/// How much of a stretch the image holds, from its beginning.
pub fn stored(stretch: &Range<u64>) -> u64 {
    (stretch.end - stretch.start).div_ceil(PARTS).next_multiple_of(PAGE)
}

/// What that is mapped to.
pub fn parts(stretch: &Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let (end, stored) = (stretch.end, stored(stretch));
    (stretch.start..end).step_by(stored as usize).map(move |start| start..end.min(start + stored))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: u64 = LEAST / PAGE;

    fn pages(numbers: Range<u64>) -> Vec<u64> {
        numbers.map(|number| number * PAGE).collect()
    }

    #[test]
    fn a_stretch_is_long_and_of_one_byte() {
        let short_and_long = [pages(0..LONG - 1), pages(100..100 + LONG)].concat();
        assert_eq!(long(&short_and_long), pages(100..100 + LONG));
        let all = pages(100..100 + 2 * LONG);
        let sevens = vec![7; all.len()];
        assert_eq!(stretches(&all, &sevens), [100 * PAGE..(100 + 2 * LONG) * PAGE]);
        let mut mixed = sevens.clone();
        mixed[0] = 8;
        assert_eq!(stretches(&all, &mixed), [101 * PAGE..(100 + 2 * LONG) * PAGE]);
        mixed[LONG as usize] = 8;
        assert_eq!(stretches(&all, &mixed), []);
        let two = [pages(0..LONG), pages(100..100 + LONG)].concat();
        assert_eq!(stretches(&two, &vec![7; two.len()]).len(), 2);
    }

    #[test]
    fn the_parts_are_all_of_it() {
        for length in [LONG, LONG + 1, 67, 1000, 1001, 1002, 1003] {
            let stretch = 5 * PAGE..(5 + length) * PAGE;
            let parts: Vec<_> = parts(&stretch).collect();
            assert_eq!(parts.len() as u64, PARTS, "{length}");
            assert_eq!((parts[0].start, parts[0].end - parts[0].start), (stretch.start, stored(&stretch)));
            assert!(parts.windows(2).all(|two| two[0].end == two[1].start) && parts[3].end == stretch.end);
            assert!(parts.iter().all(|part| part.end - part.start <= stored(&stretch) && !part.is_empty()));
        }
    }
}
