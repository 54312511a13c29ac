use super::*;
use crate::proc::smaps;
use hotfork_abi::Plain;
use std::convert::Infallible;

const BLOCK: u64 = 0x690;
/// A stack of 1 MB: a guard of one page, the descriptor 0x1000 below the top.
const LOW: u64 = 0x7f00_0000_0000;
const SIZE: u64 = 0x10_0000;

/// A thread on the stack at `low`, interrupted 0x2000 below its descriptor.
fn thread(low: u64) -> ThreadSlot {
    let fs_base = low + SIZE - 0x1000;
    let mut slot = ThreadSlot { fs_base, state: STATE_PARKED, interrupted: fs_base - 0x2000, ..ThreadSlot::zeroed() };
    slot.ucontext = slot.interrupted - 0x800;
    slot.registers.rsp = slot.ucontext - 0x100;
    slot
}

fn mappings(lines: &[(u64, u64, &str)]) -> Vec<DetailedMapping> {
    let line = |&(start, end, rest): &(u64, u64, &str)| {
        let (protection, name) = rest.split_once(' ').unwrap_or((rest, ""));
        let grows = if name == "[stack]" { "gd" } else { "" };
        format!("{start:x}-{end:x} {protection} 00000000 00:00 0 {name}\nVmFlags: rd wr {grows}\n")
    };
    smaps::parse(lines.iter().map(line).collect::<String>().as_bytes()).unwrap()
}

/// Its guard, then the rest, as glibc makes them.
fn stacks(lows: &[u64]) -> Vec<DetailedMapping> {
    let lines: Vec<_> =
        lows.iter().flat_map(|&low| [(low, low + 0x1000, "---p"), (low + 0x1000, low + SIZE, "rw-p")]).collect();
    mappings(&lines)
}

/// What is found where glibc says these bounds of the threads' stacks.
fn found(threads: &[(ThreadSlot, [u64; 3])], mappings: &[DetailedMapping]) -> Vec<Range<u64>> {
    let slots: Vec<ThreadSlot> = threads.iter().map(|(slot, _)| *slot).collect();
    let gather = |addresses: &[u64], length: u64| {
        assert_eq!(length, 24);
        let words = addresses.iter().flat_map(|address| {
            let of = |thread: &&(ThreadSlot, [u64; 3])| thread.0.fs_base + BLOCK == *address;
            threads.iter().find(of).unwrap().1
        });
        Ok::<_, Infallible>(words.flat_map(u64::to_le_bytes).collect())
    };
    let Ok(dead) = find(&slots, BLOCK, mappings, gather);
    dead
}

fn own(low: u64) -> [u64; 3] {
    [low, SIZE, 0x1000]
}

/// From the descriptor down: 0x2000 to where it was interrupted, 0x900 to the pointer, the margin, whole pages.
const fn end(low: u64) -> u64 {
    low + SIZE - 0x1000 - 0x2000 - 0x2000
}

#[test]
fn pages_below_the_handler() {
    let dead = found(&[(thread(LOW), own(LOW))], &stacks(&[LOW]));
    assert_eq!(dead, [LOW + 0x1000..end(LOW)]);
    assert!(dead[0].end + MARGIN <= thread(LOW).registers.rsp);
    let mut deep = thread(LOW);
    deep.registers.rsp = LOW + 0x1000 + MARGIN + PAGE - 1;
    assert_eq!(found(&[(deep, own(LOW))], &stacks(&[LOW])), []);
    deep.registers.rsp += 1;
    assert_eq!(found(&[(deep, own(LOW))], &stacks(&[LOW])), [LOW + 0x1000..LOW + 0x2000]);
}

#[test]
fn the_guard_pages_of_hotspot_are_not_touched() {
    let lines = [(LOW, LOW + 0x4000, "---p"), (LOW + 0x4000, LOW + SIZE, "rw-p")];
    assert_eq!(found(&[(thread(LOW), [LOW, SIZE, 0])], &mappings(&lines)), [LOW + 0x4000..end(LOW)]);
}

/// A thread that has just begun has no guard yet: other memory lies below it in the same mapping, another stack above.
#[test]
fn stacks_and_other_memory_in_one_mapping() {
    let (second, third) = (LOW + SIZE, LOW + 2 * SIZE);
    let merged = mappings(&[(LOW - 0x20_0000, LOW + 3 * SIZE, "rw-p")]);
    let threads = [third, LOW, second].map(|low| (thread(low), [low, SIZE, 0]));
    assert_eq!(found(&threads, &merged), [LOW..end(LOW), second..end(second), third..end(third)]);
}

/// In an instance a stack is more than one mapping.
#[test]
fn a_stack_in_two_mappings() {
    let cut = LOW + SIZE - 0x6000;
    let lines = [(LOW, LOW + 0x1000, "---p"), (LOW + 0x1000, cut, "rw-p"), (cut, LOW + SIZE, "rw-p /images/app.image")];
    assert_eq!(found(&[(thread(LOW), own(LOW))], &mappings(&lines)), [LOW + 0x1000..end(LOW)]);
    let apart = [(LOW + 0x1000, cut - 0x1000, "rw-p"), (cut, LOW + SIZE, "rw-p")];
    assert_eq!(found(&[(thread(LOW), own(LOW))], &mappings(&apart)), [cut..end(LOW)]);
}

#[test]
fn the_first_thread_has_the_stack_of_the_kernel() {
    let top = 0x7ffc_0010_0000;
    let mut leader = thread(LOW);
    leader.flags = FLAG_LEADER;
    leader.interrupted = top - 0x3000;
    leader.ucontext = leader.interrupted - 0x800;
    leader.registers.rsp = leader.ucontext - 0x100;
    let with = |name| mappings(&[(LOW, LOW + SIZE, "rw-p"), (top - 0x2_1000, top, name)]);
    assert_eq!(found(&[(leader, [0, 0, 0])], &with("rw-p [stack]")), [top - 0x2_1000..top - 0x5000]);
    assert_eq!(found(&[(leader, [0, 0, 0])], &with("rw-p ")), []);
    leader.flags = 0;
    assert_eq!(found(&[(leader, [0, 0, 0])], &with("rw-p [stack]")), [], "a thread that somebody else made");
}

#[test]
fn the_capturer_has_no_signal_frame() {
    let mut capturer = thread(LOW);
    (capturer.ucontext, capturer.interrupted) = (0, 0);
    assert_eq!(found(&[(capturer, own(LOW))], &stacks(&[LOW])), [LOW + 0x1000..end(LOW)]);
}

#[test]
fn a_thread_elsewhere_keeps_its_stack() {
    let elsewhere = LOW - 0x1000_0000;
    let changes: [fn(&mut ThreadSlot); 8] = [
        |slot| slot.registers.rsp -= 0x1000_0000,
        |slot| slot.interrupted -= 0x1000_0000,
        |slot| slot.interrupted = LOW + SIZE,
        |slot| slot.ucontext = slot.registers.rsp - 8,
        |slot| slot.ucontext = slot.interrupted,
        |slot| slot.fs_base += 0x1000,
        // It may stand on it, above the frames that were interrupted.
        |slot| slot.alternate_stack = [slot.fs_base - 0x4000, 0x4000],
        |slot| slot.state = 0,
    ];
    let mut maps = vec![(elsewhere, elsewhere + 2 * SIZE, "rw-p")];
    maps.extend([(LOW, LOW + 0x1000, "---p"), (LOW + 0x1000, LOW + SIZE, "rw-p")]);
    for (index, change) in changes.into_iter().enumerate() {
        let mut slot = thread(LOW);
        change(&mut slot);
        assert_eq!(found(&[(slot, own(LOW))], &mappings(&maps)), [], "change {index}");
    }
    let slot = ThreadSlot { alternate_stack: [elsewhere, 0x4000], ..thread(LOW) };
    assert_eq!(found(&[(slot, own(LOW))], &mappings(&maps)).len(), 1, "an alternate stack somewhere else");
}

#[test]
fn what_another_thread_uses_stays() {
    let other = LOW + 0x1000_0000;
    let maps = stacks(&[LOW, other]);
    let changes: [fn(&mut ThreadSlot); 3] = [
        |slot| slot.registers.rsp = LOW + 0x8000,
        |slot| slot.alternate_stack = [LOW + 0x8000, 0x2000],
        |slot| (slot.ucontext, slot.interrupted) = (LOW + 0x8000, LOW + 0x9000),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let mut guest = thread(other);
        change(&mut guest);
        let dead = found(&[(thread(LOW), own(LOW)), (guest, own(other))], &maps);
        assert!(dead.iter().all(|range| range.start >= other), "change {index}: {dead:x?}");
    }
}

#[test]
fn bounds_that_make_no_sense() {
    let maps = stacks(&[LOW]);
    for bounds in
        [[u64::MAX, SIZE, 0x1000], [LOW, u64::MAX, 0x1000], [LOW, SIZE, u64::MAX], [LOW + SIZE, SIZE, 0], [LOW, 0, 0]]
    {
        assert_eq!(found(&[(thread(LOW), bounds)], &maps), [], "{bounds:x?}");
    }
    let second = ThreadSlot { fs_base: LOW + SIZE - 0x800, ..thread(LOW) };
    let both = [(thread(LOW), own(LOW)), (second, [LOW + 0x4000, SIZE - 0x4000, 0])];
    assert_eq!(found(&both, &maps), [], "two threads in one stack");
    let Ok(unknown) = find(&[thread(LOW)], 0, &maps, |_, _| -> Result<_, Infallible> { panic!("nothing is read") });
    assert_eq!(unknown, []);
}

#[test]
fn shared_or_read_only_memory_is_no_stack() {
    for protection in ["rw-s", "r--p"] {
        assert_eq!(found(&[(thread(LOW), own(LOW))], &mappings(&[(LOW, LOW + SIZE, protection)])), []);
    }
    assert_eq!(found(&[(thread(LOW), own(LOW))], &mappings(&[(LOW - 0x1000, LOW, "rw-p")])), []);
}
