//! Captures while a collector works beside the application: its marks, forwarded objects and barriers are in the image, and
//! an instance goes on with them. The heap is verified at each of its collections.

use hotfork_tests::hotfork::take;
use hotfork_tests::jdk::Collector;
use hotfork_tests::matrix::{Cell, Extent, World, cells};
use hotfork_tests::subject::How;
use hotfork_tests::{Outcome, ensure};
use libtest_mimic::Trial;
use std::collections::BTreeSet;
use std::sync::Arc;

const CAPTURES: usize = 3;
/// Captures until one was in the middle of a concurrent phase, if the first ones were not.
const CAPTURES_AT_MOST: usize = 30;

pub fn trials(world: &Arc<World>) -> Vec<Trial> {
    let extent = Extent::Of(&[Collector::G1, Collector::Shenandoah]);
    cells(world, "concurrent_cycles::go_on", 17, extent, go_on)
}

fn go_on(cell: &Cell) -> Outcome {
    let mut stage = cell.stage("ConcurrentCycles")?;
    // G1 would verify at each of its pauses, and hardly anything would happen between them.
    let provoked: &[&str] = match cell.collector {
        Collector::Shenandoah => &["-XX:ShenandoahGCHeuristics=aggressive", "-XX:+ShenandoahVerify"],
        _ => &[
            "-XX:InitiatingHeapOccupancyPercent=1",
            "-XX:-G1UseAdaptiveIHOP",
            "-XX:ConcGCThreads=1",
            "-XX:VerifyGCType=remark,full",
        ],
    };
    stage.options.extend(provoked.iter().map(|option| option.to_string()));
    stage.options.push("-Xlog:gc,gc+start,gc+marking:stdout".into());
    let mut original = stage.start(How::ALL[0])?;
    let mut begun = BTreeSet::new();
    for capture in 0..CAPTURES_AT_MOST {
        if capture >= CAPTURES && !begun.is_empty() {
            break;
        }
        take(original.pid(), &stage.image())?;
        let mut instance = stage.restore()?;
        stage.check(&mut instance)?;
        begun.extend(begun_before(&instance.out.text()));
    }
    ensure!(!begun.is_empty(), "none of {CAPTURES_AT_MOST} captures was in the middle of a concurrent phase");
    stage.check(&mut original)
}

/// Concurrent phases whose end a log tells, but not their beginning. (A clean-up's end tells other things too.)
fn begun_before(log: &str) -> BTreeSet<String> {
    let (mut begun, mut before) = (BTreeSet::new(), BTreeSet::new());
    for line in log.lines() {
        let Some((_, cycle_and_phase)) = line.split_once(" GC(") else { continue };
        let Some((_, phase)) = cycle_and_phase.split_once(") ") else { continue };
        if !phase.starts_with("Concurrent ") || phase.starts_with("Concurrent cleanup") {
            continue;
        }
        match phase.rsplit_once(' ').filter(|(_, took)| took.ends_with("ms")) {
            None => drop(begun.insert(cycle_and_phase)),
            Some((phase, took)) => {
                let beginning = &cycle_and_phase[..cycle_and_phase.len() - took.len() - 1];
                if !begun.contains(beginning) {
                    before.insert(phase.to_string());
                }
            }
        }
    }
    before
}
