//! Which pages of an area go into the image.

use super::areas::{Area, Source};
use super::huge_blocks;
use super::kinds::{Counts, Kinds, is_mostly_read};
use super::repeated;
use super::template::{Template, TemplateError};
use crate::proc::ProcError;
use crate::proc::pagemap::Pagemap;
use hotfork_abi::PAGE;
use std::ops::Range;

/// Runs of pages are joined over gaps up to this long: a mapping costs a restore more than some zero pages do, and gaps are holes
/// of the file.
pub const GAP: u64 = 64 * PAGE;
/// ... and so long in memory of native code, of which malloc leaves many small pieces, and in the code cache, which has free blocks. (An instance writes to the free Java heap before
/// all else, and a page that is a hole costs it more than one that is nowhere.)
const LONG_GAP: u64 = 1024 * PAGE;

#[derive(Debug, thiserror::Error)]
pub enum PagesError {
    #[error(transparent)]
    Proc(#[from] ProcError),
    #[error(transparent)]
    Template(#[from] TemplateError),
}

/// An area with the runs of it that the image holds, in address order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    pub area: Area,
    pub runs: Vec<Range<u64>>,
    /// Parts of the runs that are zero, in address order.
    pub gaps: Vec<Range<u64>>,
    /// Stretches of one other byte within the runs, in address order.
    pub repeated: Vec<Range<u64>>,
    /// To be mapped in huge pages where there are whole ones.
    pub huge: bool,
}

/// What decides about pages.
pub struct Selection<'a> {
    pub template: &'a Template,
    pub pagemap: Pagemap,
    pub kinds: Kinds,
    /// Free Java heap and dead stack, ascending.
    pub dead: Vec<Range<u64>>,
    pub counts: Counts,
}

impl Selection<'_> {
    /// Looks through one area. Memory that cannot be read is made readable in the template first.
    pub fn of(&mut self, area: Area) -> Result<Contents, PagesError> {
        let template = self.template;
        let [mut gaps, mut repeated] = [Vec::new(), Vec::new()];
        let runs = match area.source {
            Source::Wiped | Source::SharedFile { .. } => Vec::new(),
            Source::Carried => {
                make_readable(&area, &(area.start..area.end), template)?;
                let length = template.readable(area.start, area.length())?;
                if length == 0 { Vec::new() } else { vec![area.start..area.start + length] }
            }
            Source::Anonymous if area.performance => {
                vec![area.start..area.end]
            }
            Source::Anonymous | Source::PrivateFile { .. } if !area.holds_pages => Vec::new(),
            Source::Anonymous => {
                let pages;
                (pages, repeated) = self.of_anonymous(&area)?;
                // What is copied is copied with its gaps.
                let native = area.mapped_from_image && self.kinds.is_native(&area);
                let code = area.mapped_from_image && self.kinds.is_code(&area);
                let gap = if native || code { LONG_GAP } else { GAP };
                gaps = gaps_between(&pages, gap);
                let mut runs = join(&pages, gap);
                if native {
                    to_the_edges(&area, &mut runs, &mut gaps);
                }
                runs
            }
            Source::PrivateFile { .. } => {
                let mut pages = Vec::new();
                self.pagemap.visit(area.start..area.end, |page, state| {
                    if state.is_private_copy() {
                        pages.push(page)
                    }
                })?;
                let runs = join(&pages, GAP);
                for run in &runs {
                    make_readable(&area, run, template)?;
                }
                runs
            }
        };
        let left_out: Vec<_> =
            repeated.iter().map(|stretch| stretch.start + repeated::stored(stretch)..stretch.end).collect();
        let [mut mostly_read, mut all] = [0, 0];
        for run in &runs {
            for page in run.clone().step_by(PAGE as usize).filter(|&page| !holds(&gaps, page)) {
                let kind = self.kinds.of(&area, page);
                mostly_read += usize::from(is_mostly_read(kind));
                all += 1;
                if holds(&left_out, page) { self.counts.repeated(kind) } else { self.counts.in_image(kind) }
            }
        }
        // Not every piece of metaspace is known as such.
        let huge = area.mapped_from_image && 2 * mostly_read > all;
        if huge {
            // What is stored for that stays counted as what it is, zero or dead: some hundred kilobytes of a large image.
            gaps = huge_blocks::without_short_gaps(&runs, gaps);
        }
        Ok(Contents { area, runs, gaps, repeated, huge })
    }

    /// The pages that are neither zero nor free heap, and stretches of them that hold one byte.
    fn of_anonymous(&mut self, area: &Area) -> Result<(Vec<u64>, Vec<Range<u64>>), PagesError> {
        let Self { template, pagemap, kinds, dead, counts } = self;
        let mut pages = Vec::new();
        pagemap.visit(area.start..area.end, |page, state| {
            if state.has_contents() || area.is_restored(page) {
                if holds(dead, page) {
                    counts.dead(kinds.of(area, page));
                } else {
                    pages.push(page);
                }
            }
        })?;
        let [mut zero, mut equal] = [Vec::new(), Vec::new()];
        for run in join(&pages, GAP) {
            make_readable(area, &run, template)?;
            let [more_zero, more_equal] = template.equal_pages(run.start, run.end - run.start)?;
            zero.extend(more_zero);
            equal.extend(more_equal);
        }
        // A page between two runs that were joined was absent, or is dead: it is not among the pages.
        equal.retain(|page| pages.binary_search(page).is_ok());
        let mut zero = zero.into_iter().peekable();
        pages.retain(|&page| {
            while zero.next_if(|&candidate| candidate < page).is_some() {}
            let is_zero = zero.peek() == Some(&page);
            if is_zero {
                counts.zero(kinds.of(area, page));
            }
            !is_zero
        });
        let repeated = repeated::find(&equal, template)?;
        Ok((pages, repeated))
    }
}

fn holds(ranges: &[Range<u64>], page: u64) -> bool {
    let next = ranges.partition_point(|range| range.end <= page);
    ranges.get(next).is_some_and(|range| range.contains(&page))
}

fn make_readable(area: &Area, run: &Range<u64>, template: &Template) -> Result<(), TemplateError> {
    if area.is_readable() {
        return Ok(());
    }
    template.protect(run.start, run.end - run.start, libc::PROT_READ as u32)
}

/// Pages in ascending order as runs.
fn join(pages: &[u64], gap: u64) -> Vec<Range<u64>> {
    let mut runs: Vec<Range<u64>> = Vec::new();
    for &page in pages {
        match runs.last_mut() {
            Some(run) if page <= run.end + gap => run.end = page + PAGE,
            _ => runs.push(page..page + PAGE),
        }
    }
    runs
}

/// What `join` adds to the pages.
fn gaps_between(pages: &[u64], longest: u64) -> Vec<Range<u64>> {
    let ends = pages.iter().map(|page| page + PAGE);
    let between = ends.zip(pages.iter().skip(1)).map(|(end, &next)| end..next);
    between.filter(|gap| !gap.is_empty() && gap.end - gap.start <= longest).collect()
}

/// A short rest of an area that is mapped from the image costs a mapping of its own as well. (Not of the Java heap and of stacks,
/// which are written there next.)
fn to_the_edges(area: &Area, runs: &mut [Range<u64>], gaps: &mut Vec<Range<u64>>) {
    if area.stack {
        return;
    }
    if let Some(first) = runs.first_mut().filter(|run| run.start > area.start && run.start - area.start <= LONG_GAP) {
        gaps.insert(0, area.start..first.start);
        first.start = area.start;
    }
    if let Some(last) = runs.last_mut().filter(|run| run.end < area.end && area.end - run.end <= LONG_GAP) {
        gaps.push(last.end..area.end);
        last.end = area.end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proc::smaps::VmFlags;

    #[test]
    fn a_page_is_in_one_of_the_ranges() {
        let dead = [0x1000..0x3000, 0x3000..0x4000, 0x8000..0x9000];
        let held: Vec<u64> = (0..10).map(|page| page * PAGE).filter(|&page| holds(&dead, page)).collect();
        assert_eq!(held, [0x1000, 0x2000, 0x3000, 0x8000]);
    }

    #[test]
    fn runs_are_joined_over_short_gaps() {
        assert_eq!(join(&[], GAP), []);
        assert_eq!(join(&[0x1000, 0x2000], GAP), [0x1000..0x3000]);
        let near = 0x1000 + PAGE + GAP;
        assert_eq!(join(&[0x1000, near], GAP), [0x1000..near + PAGE]);
        assert_eq!(gaps_between(&[0x1000, near], GAP), [0x2000..near]);
        assert_eq!(gaps_between(&[0x1000, 0x2000, near + 2 * PAGE], GAP), []);
        assert_eq!(join(&[0x1000, near + PAGE], GAP), [0x1000..0x2000, near + PAGE..near + 2 * PAGE]);
    }

    #[test]
    fn short_rests_of_an_area_belong_to_its_runs() {
        let area = |end| Area {
            start: 0x10_0000,
            end,
            protection: 3,
            flags: VmFlags::default(),
            page_size: 4096,
            source: Source::Anonymous,
            mapped_from_image: true,
            holds_pages: true,
            stack: false,
            performance: false,
            restored: Vec::new(),
        };
        let far = 0x10_0000 + 8 * LONG_GAP;
        let mut gaps = vec![0x10_3000..0x10_4000];
        let mut runs = vec![0x10_1000..0x10_5000, far..far + PAGE];
        to_the_edges(&area(far + 3 * PAGE), &mut runs, &mut gaps);
        assert_eq!(runs, [0x10_0000..0x10_5000, far..far + 3 * PAGE]);
        assert_eq!(gaps, [0x10_0000..0x10_1000, 0x10_3000..0x10_4000, far + PAGE..far + 3 * PAGE]);
        let (mut runs, mut gaps) = (vec![far..far + PAGE], Vec::new());
        to_the_edges(&area(far + 2 * LONG_GAP), &mut runs, &mut gaps);
        assert_eq!((runs, gaps), (vec![far..far + PAGE], Vec::new()));
    }
}
