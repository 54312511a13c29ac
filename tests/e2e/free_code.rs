//! Code of classes that are gone is not in an image.

use crate::tools::tool;
use hotfork_tests::hotfork::{in_image_and_dead, take};
use hotfork_tests::jdk::Collector;
use hotfork_tests::matrix::{Cell, Extent, World, cells};
use hotfork_tests::subject::How;
use hotfork_tests::{Outcome, ensure};
use libtest_mimic::Trial;
use std::sync::Arc;

/// Of the 1,500 methods that `FreeCode` had compiled; half a kilobyte each.
const LEAST: u64 = 256 << 10;

pub fn trials(world: &Arc<World>) -> Vec<Trial> {
    cells(world, "free_code::is_left_out", 17, Extent::Whole, is_left_out)
}

fn is_left_out(cell: &Cell) -> Outcome {
    let stage = cell.stage("FreeCode")?;
    let mut original = stage.start(How::ALL[0])?;
    take(original.pid(), &stage.image())?;
    let [_, dead] = in_image_and_dead(&stage.image(), "code")?;
    if matches!(cell.collector, Collector::Serial | Collector::Parallel | Collector::G1) {
        ensure!(dead >= LEAST, "{} KB of free code were left out", dead >> 10);
    } else {
        ensure!(dead == 0, "{} KB of code were left out that may be freed at any time", dead >> 10);
    }
    let mut instance = stage.restore()?;
    // HotSpot goes through all blocks, free ones too.
    let walk = tool(&cell.jdk, "jcmd", &[&instance.pid().to_string(), "Compiler.CodeHeap_Analytics"])?.out;
    ensure!(walk.contains("is distributed over"), "jcmd Compiler.CodeHeap_Analytics finds no free blocks: {walk}");
    stage.check(&mut instance)?;
    stage.check(&mut original)
}
