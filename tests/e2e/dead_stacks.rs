//! What calls that have returned leave below a thread's stack pointer is not in an image.

use hotfork_tests::hotfork::{in_image_and_dead, take};
use hotfork_tests::matrix::{Cell, Extent, World, cells};
use hotfork_tests::subject::How;
use hotfork_tests::{Outcome, ensure};
use libtest_mimic::Trial;
use std::sync::Arc;

/// Each of the 20 threads of `ShallowAgain` has written to nearly all of its 2 MB.
const LEAST_DEAD: u64 = 20 * (3 << 19);
const MOST_IN_IMAGE: u64 = 6 << 20;

pub fn trials(world: &Arc<World>) -> Vec<Trial> {
    cells(world, "dead_stacks::are_left_out", 17, Extent::Rotated(0), are_left_out)
}

/// Of an instance's image too, whose stacks lie in other mappings.
fn are_left_out(cell: &Cell) -> Outcome {
    let stage = cell.stage("ShallowAgain")?;
    let mut original = stage.start(How::ALL[0])?;
    take(original.pid(), &stage.image())?;
    let dead = left_out(&stage.image())?;
    ensure!(dead >= LEAST_DEAD, "{} KB of dead stack were left out", dead >> 10);
    let mut instance = stage.restore()?;
    hotfork_tests::subject::is_running(&instance, "ShallowAgain")?;
    let second = stage.scratch.join("second-image");
    take(instance.pid(), &second)?;
    left_out(&second)?;
    let mut of_instance = stage.restore_with(&second, |_| {})?;
    for process in [&mut of_instance, &mut instance, &mut original] {
        stage.check(process)?;
    }
    Ok(())
}

/// So many bytes; and what the image holds of stacks is little.
fn left_out(image: &std::path::Path) -> Outcome<u64> {
    let [in_image, dead] = in_image_and_dead(image, "stacks")?;
    ensure!(in_image <= MOST_IN_IMAGE, "{} KB of stacks are in the image", in_image >> 10);
    Ok(dead)
}
