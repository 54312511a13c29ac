//! What dead objects leave behind is not in an image.

use hotfork_tests::hotfork::{in_image_and_dead, take};
use hotfork_tests::matrix::{Cell, Extent, World, cells};
use hotfork_tests::subject::How;
use hotfork_tests::{Outcome, ensure};
use libtest_mimic::Trial;
use std::sync::Arc;

/// Of the heap of 128 MB that `FreeHeap` fills, some 16 MB are live and some have not been touched.
const LEAST: u64 = 40 << 20;

pub fn trials(world: &Arc<World>) -> Vec<Trial> {
    cells(world, "free_heap::is_left_out", 17, Extent::Whole, is_left_out)
}

fn is_left_out(cell: &Cell) -> Outcome {
    let stage = cell.stage("FreeHeap")?;
    let mut original = stage.start(How::ALL[0])?;
    take(original.pid(), &stage.image())?;
    let [_, dead] = in_image_and_dead(&stage.image(), "java heap")?;
    ensure!(dead >= LEAST, "{} MB of free heap were left out", dead >> 20);
    let mut instance = stage.restore()?;
    stage.check(&mut instance)?;
    stage.check(&mut original)
}
