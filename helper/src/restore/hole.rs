//! Finds the range in which the restorer lives while everything else is exchanged.

use super::operations::{ADDRESS_SPACE_END, merge};
use hotfork_abi::PAGE;
use std::ops::Range;

/// Kept free on both sides: the stack grows down, the break grows up.
const MARGIN: u64 = 1 << 30;

/// The middle of the widest gap that image and helper both leave free.
pub fn choose(image: &[Range<u64>], helper: &[Range<u64>], length: u64) -> Option<u64> {
    let mut taken: Vec<Range<u64>> = helper.iter().chain(image).cloned().collect();
    taken.sort_unstable_by_key(|range| range.start);
    let taken = merge(taken);
    let starts = std::iter::once(PAGE).chain(taken.iter().map(|range| range.end));
    let ends = taken.iter().map(|range| range.start).chain([ADDRESS_SPACE_END]);
    let (start, end) = starts.zip(ends).max_by_key(|(start, end)| end.saturating_sub(*start))?;
    if end.saturating_sub(start) < length + 2 * MARGIN {
        return None;
    }
    Some((start + (end - start - length) / 2) & !(PAGE - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lies_in_what_both_leave_free() {
        let helper = [0x7000_0000_0000..ADDRESS_SPACE_END];
        let image = [0x1000..0x1_0000_0000, 0x4000_0000_0000..0x4000_0001_0000];
        let hole = choose(&image, &helper, 0x10000).unwrap();
        assert_eq!(hole % PAGE, 0);
        let apart = |range: &Range<u64>| hole + 0x10000 + MARGIN <= range.start || range.end + MARGIN <= hole;
        assert!(image.iter().all(apart));
        assert!(helper.iter().all(apart));
    }

    #[test]
    fn a_full_address_space_has_none() {
        let all = PAGE..ADDRESS_SPACE_END - PAGE;
        assert_eq!(choose(std::slice::from_ref(&all), &[], PAGE), None);
    }
}
