use super::*;
use crate::proc::smaps::VmFlags;

const READ: u32 = libc::PROT_READ as u32;
const WRITE: u32 = libc::PROT_WRITE as u32;
const NORESERVE: u32 = libc::MAP_NORESERVE as u32;
const START: u64 = 0x10000;

fn area(start: u64, end: u64, protection: u32, source: Source) -> Area {
    Area {
        start,
        end,
        protection,
        flags: VmFlags::default(),
        page_size: 4096,
        source,
        mapped_from_image: true,
        holds_pages: true,
        stack: false,
        performance: false,
        restored: Vec::new(),
    }
}

fn with(area: Area, runs: &[std::ops::Range<u64>]) -> Contents {
    Contents { area, runs: runs.to_vec(), gaps: Vec::new(), repeated: Vec::new(), huge: false }
}

type Short = (u32, u64, u64, u64, u32, u32, u32);

fn short(plan: &Plan) -> Vec<Short> {
    let fields = |op: &MapOperation| (op.operation, op.address, op.length, op.offset, op.protection, op.flags, op.file);
    plan.operations.iter().map(fields).collect()
}

#[test]
fn runs_lie_over_the_mapping_and_densely_in_the_file() {
    let anonymous = area(0x100000, 0x200000, READ | WRITE, Source::Anonymous);
    let plan = plan(&[with(anonymous, &[0x100000..0x101000, 0x180000..0x182000])], START);
    assert_eq!(
        short(&plan),
        [
            (OP_PRIVATE_FILE, 0x100000, 0x1000, START, READ | WRITE, NORESERVE, 0),
            (OP_ANONYMOUS, 0x101000, 0xff000, 0, READ | WRITE, NORESERVE, 0),
            (OP_PRIVATE_FILE, 0x180000, 0x2000, START + 0x1000, READ | WRITE, NORESERVE, 0),
        ]
    );
    let writes: Vec<_> = plan.writes.iter().map(|range| (range.address, range.length, range.offset)).collect();
    assert_eq!(writes, [(0x100000, 0x1000, START), (0x180000, 0x2000, START + 0x1000)]);
    assert_eq!((plan.pages_end, plan.mapping_count), (START + 0x3000, 3));
    assert_eq!((plan.total_mapped, plan.private_writable), (0x100000, 0x100000));
}

#[test]
fn huge_pages_lie_in_the_file_as_in_memory() {
    let start = 0x7f00_0000_0000 + HUGE_PAGE / 2;
    let of = |pages: u64, huge| {
        let anonymous = area(start, start + pages * 0x1000, READ | WRITE, Source::Anonymous);
        let mut part = with(anonymous, &[start..start + pages * 0x1000]);
        part.huge = huge;
        plan(&[part], START)
    };
    let whole = of(768, true);
    let offset = whole.operations[0].offset;
    assert_eq!((offset % HUGE_PAGE, offset - START < HUGE_PAGE), (HUGE_PAGE / 2, true));
    assert_eq!((&whole.holes[..], whole.pages_end), (&[START..offset][..], offset + 768 * 0x1000));
    assert_eq!(whole.writes[0].offset, offset);
    for dense in [of(767, true), of(768, false)] {
        assert_eq!((dense.operations[0].offset, dense.holes.len()), (START, 0));
    }
}

#[test]
fn a_stretch_of_one_byte_is_a_part_mapped_again_and_again() {
    let (start, page) = (0x100000, 0x1000);
    let heap = area(start, start + 100 * page, READ, Source::Anonymous);
    let stretch = start + 10 * page..start + 76 * page;
    let mut part = with(heap, &[start..start + 80 * page]);
    part.repeated = vec![stretch.clone()];
    part.gaps = vec![start + page..start + 2 * page, stretch.end..stretch.end + page];
    let plan = plan(&[part], START);
    let places: Vec<_> = short(&plan).into_iter().map(|op| (op.0, (op.1 - start) / page, op.2 / page, op.3)).collect();
    let stored = START + 10 * page;
    assert_eq!(
        places,
        [
            // The first part follows what lies before it.
            (OP_PRIVATE_FILE, 0, 10 + 17, START),
            (OP_PRIVATE_FILE, 27, 17, stored),
            (OP_PRIVATE_FILE, 44, 17, stored),
            (OP_PRIVATE_FILE, 61, 15, stored),
            (OP_PRIVATE_FILE, 76, 4, stored + 17 * page),
            (OP_ANONYMOUS, 80, 20, 0),
        ]
    );
    let written: Vec<_> = plan.writes.iter().map(|one| ((one.address - start) / page, one.length / page)).collect();
    assert_eq!(written, [(0, 1), (2, 8), (10, 17), (77, 3)]);
    assert_eq!(plan.holes, [START + page..START + 2 * page, stored + 17 * page..stored + 18 * page]);
    assert_eq!(plan.pages_end, stored + (17 + 4) * page);
}

#[test]
fn nothing_is_mapped_below_a_run_at_the_start_or_end() {
    let library = area(0x1000, 0x9000, READ, Source::PrivateFile { path: "/lib/a.so".into(), offset: 0x4000 });
    let stack = area(0x10000, 0x20000, READ | WRITE, Source::Anonymous);
    let two_halves = area(0x30000, 0x32000, READ, Source::Anonymous);
    let plan = plan(
        &[
            with(library, &[0x1000..0x2000, 0x4000..0x5000, 0x8000..0x9000]),
            with(stack, &[0x1f000..0x20000]),
            with(two_halves, &[0x30000..0x31000, 0x31000..0x32000]),
        ],
        START,
    );
    let places: Vec<_> = short(&plan).into_iter().map(|op| (op.0, op.1, op.2, op.3)).collect();
    assert_eq!(
        places,
        [
            (OP_PRIVATE_FILE, 0x1000, 0x1000, START),
            (OP_PRIVATE_FILE, 0x2000, 0x6000, 0x5000),
            (OP_PRIVATE_FILE, 0x4000, 0x1000, START + 0x1000),
            (OP_PRIVATE_FILE, 0x8000, 0x1000, START + 0x2000),
            (OP_ANONYMOUS, 0x10000, 0xf000, 0),
            (OP_PRIVATE_FILE, 0x1f000, 0x1000, START + 0x3000),
            (OP_PRIVATE_FILE, 0x30000, 0x2000, START + 0x4000),
        ]
    );
}

#[test]
fn a_run_over_all_of_it_is_one_operation_and_neighbours_become_one() {
    let one = area(0x1000, 0x3000, READ, Source::Anonymous);
    let mut other = area(0x3000, 0x4000, READ, Source::Anonymous);
    other.holds_pages = true;
    let plan = plan(&[with(one, &[0x1000..0x3000]), with(other, &[0x3000..0x4000])], START);
    assert_eq!(short(&plan), [(OP_PRIVATE_FILE, 0x1000, 0x3000, START, READ, 0, 0)]);
}

#[test]
fn files_are_numbered_once() {
    let library =
        |start, offset| area(start, start + 0x1000, READ, Source::PrivateFile { path: "/lib/a.so".into(), offset });
    let modules = area(0x9000, 0xa000, READ, Source::SharedFile { path: "/lib/modules".into(), offset: 0x5000 });
    let plan = plan(
        &[with(library(0x1000, 0), &[]), with(library(0x4000, 0x2000), &[0x4000..0x5000]), with(modules, &[])],
        START,
    );
    assert_eq!(plan.files, [PathBuf::from("/lib/a.so"), PathBuf::from("/lib/modules")]);
    assert_eq!(
        short(&plan),
        [
            (OP_PRIVATE_FILE, 0x1000, 0x1000, 0, READ, 0, 1),
            (OP_PRIVATE_FILE, 0x4000, 0x1000, START, READ, 0, 0),
            (OP_SHARED_FILE, 0x9000, 0x1000, 0x5000, READ, 0, 2),
        ]
    );
}

#[test]
fn copied_memory_is_writable_until_it_is_filled() {
    let mut copied = area(0x1000, 0x5000, READ, Source::Anonymous);
    copied.mapped_from_image = false;
    let plan = plan(
        &[with(copied.clone(), &[0x2000..0x3000]), with(Area { start: 0x6000, end: 0x7000, ..copied }, &[])],
        START,
    );
    assert_eq!(
        short(&plan),
        [
            (OP_ANONYMOUS, 0x1000, 0x4000, 0, READ | WRITE, 0, 0),
            (OP_COPY, 0x2000, 0x1000, START, READ, 0, 0),
            (OP_PROTECT, 0x1000, 0x4000, 0, READ, 0, 0),
            (OP_ANONYMOUS, 0x6000, 0x1000, 0, READ, 0, 0),
        ]
    );
}

#[test]
fn a_stack_grows_down_and_its_pages_are_copied() {
    let mut stack = area(0x1000, 0x9000, READ | WRITE, Source::Anonymous);
    stack.flags.grows_down = true;
    stack.mapped_from_image = false;
    let plan = plan(&[with(stack, &[0x8000..0x9000])], START);
    let operations = short(&plan);
    assert_eq!(operations[0].5, libc::MAP_GROWSDOWN as u32 | NORESERVE);
    assert_eq!((operations[1].0, operations.len()), (OP_COPY, 2));
}

#[test]
fn advice_is_carried() {
    let mut wiped = area(0x1000, 0x2000, READ | WRITE, Source::Wiped);
    wiped.flags.do_not_dump = true;
    let mut huge = area(0x200000, 0x400000, READ | WRITE, Source::Anonymous);
    huge.flags.huge_page = true;
    let plan = plan(&[with(wiped, &[]), with(huge, &[])], START);
    let advice: Vec<_> =
        plan.operations.iter().filter(|op| op.operation == OP_ADVISE).map(|op| (op.address, op.flags as i32)).collect();
    assert_eq!(
        advice,
        [(0x1000, libc::MADV_WIPEONFORK), (0x1000, libc::MADV_DONTDUMP), (0x200000, libc::MADV_HUGEPAGE)]
    );
}

#[test]
fn memory_without_huge_pages_stays_so_by_one_call_where_the_kernel_can() {
    let mut stack = area(0x1000, 0x4000, READ | WRITE, Source::Anonymous);
    stack.flags.no_huge_page = true;
    let plan = plan(&[with(stack, &[0x3000..0x4000])], START);
    let told = |op: &&MapOperation| op.operation != OP_ADVISE && op.flags & libc::MAP_STACK as u32 != 0;
    let advised = |op: &&MapOperation| op.operation == OP_ADVISE && op.flags == libc::MADV_NOHUGEPAGE as u32;
    let count = (plan.operations.iter().filter(told).count(), plan.operations.iter().filter(advised).count());
    assert_eq!(count, if kernel::stacks_have_no_huge_pages() { (2, 0) } else { (0, 1) });
}

#[test]
fn hugetlb_memory_keeps_its_page_size() {
    let mut huge = area(0x200000, 0x400000, READ | WRITE, Source::Anonymous);
    huge.flags.hugetlb = true;
    huge.mapped_from_image = false;
    huge.page_size = 2 << 20;
    let plan = plan(&[with(huge, &[0x200000..0x400000])], START);
    assert_eq!(plan.operations[0].flags, libc::MAP_HUGETLB as u32 | 21 << libc::MAP_HUGE_SHIFT);
}

#[test]
fn the_performance_memory_has_its_operation() {
    let before = area(0x1000, 0x2000, READ | WRITE, Source::Anonymous);
    let mut perf = area(0x2000, 0xa000, READ | WRITE, Source::Anonymous);
    perf.performance = true;
    let after = area(0xa000, 0xb000, READ | WRITE, Source::Anonymous);
    let plan =
        plan(&[with(before, &[0x1000..0x2000]), with(perf, &[0x2000..0xa000]), with(after, &[0xa000..0xb000])], START);
    let index = plan.perf_operation.unwrap() as usize;
    let operation = &plan.operations[index];
    assert_eq!((operation.address, operation.length, operation.offset), (0x2000, 0x8000, START + 0x1000));
}

#[test]
fn long_runs_are_written_in_steps() {
    let anonymous = area(0, 3 * WRITE_AT_MOST, READ, Source::Anonymous);
    let plan = plan(&[with(anonymous, &[0..2 * WRITE_AT_MOST + 0x1000])], START);
    let lengths: Vec<u64> = plan.writes.iter().map(|range| range.length).collect();
    assert_eq!(lengths, [WRITE_AT_MOST, WRITE_AT_MOST, 0x1000]);
}
