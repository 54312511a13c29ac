//! Huge pages of the image. Where a block of 2 MB lies in the file as it does in memory, is written in one go and has no hole, the page cache holds it
//! in one piece (ext4 since Linux 6.16), and an instance maps it by one page fault and an entry of the page directory. Metaspace and code are read all over and hardly
//! written to; the first write to such a block has the kernel map it in small pages from then on.

use hotfork_abi::{HUGE_PAGE, PAGE};
use std::ops::Range;

/// The whole huge pages of a range, which may be none.
pub const fn inside(range: &Range<u64>) -> Range<u64> {
    range.start.next_multiple_of(HUGE_PAGE)..range.end & !(HUGE_PAGE - 1)
}

/// Bytes of a block that are stored although they could have been left out, so that it is whole.
const FILLED: u64 = 32 * PAGE;

/// Of these gaps in runs, both ascending, those that are too long for that, or belong to no whole block.
pub fn without_short_gaps(runs: &[Range<u64>], gaps: Vec<Range<u64>>) -> Vec<Range<u64>> {
    let whole = |start: u64| runs.iter().any(|run| inside(run).contains(&start));
    let length_in = |start: u64| -> u64 {
        let parts = gaps.iter().map(|gap| gap.start.max(start)..gap.end.min(start + HUGE_PAGE));
        parts.filter(|part| !part.is_empty()).map(|part| part.end - part.start).sum()
    };
    let is_short = |gap: &Range<u64>| {
        let start = gap.start & !(HUGE_PAGE - 1);
        gap.end <= start + HUGE_PAGE && whole(start) && length_in(start) <= FILLED
    };
    gaps.iter().filter(|gap| !is_short(gap)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_gaps_of_whole_blocks_are_filled() {
        let pages = |from: u64, count: u64| from..from + count * PAGE;
        let runs = [HUGE_PAGE / 2..4 * HUGE_PAGE, 9 * HUGE_PAGE..9 * HUGE_PAGE + 64 * PAGE];
        let gaps = [
            // In no whole block.
            pages(HUGE_PAGE - PAGE, 1),
            // Both are as much as may be filled.
            pages(HUGE_PAGE, 20),
            pages(HUGE_PAGE + 100 * PAGE, 12),
            // Too much together.
            pages(2 * HUGE_PAGE, 20),
            pages(2 * HUGE_PAGE + 100 * PAGE, 13),
            // Reaches into another block.
            pages(4 * HUGE_PAGE - PAGE, 2),
            pages(9 * HUGE_PAGE + PAGE, 1),
        ];
        let left: Vec<_> = [0, 3, 4, 5, 6].map(|index| gaps[index].clone()).to_vec();
        assert_eq!(without_short_gaps(&runs, gaps.to_vec()), left);
    }
}
