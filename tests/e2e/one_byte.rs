//! A long stretch of one byte is in an image once, and whole in its instances, and in instances of those.

use hotfork_tests::hotfork::{bytes_of, take};
use hotfork_tests::matrix::{Cell, Extent, World, cells};
use hotfork_tests::subject::{How, is_running};
use hotfork_tests::{Outcome, ensure};
use libtest_mimic::Trial;
use std::path::Path;
use std::sync::Arc;

/// Three quarters of the subject's array, but for its ends and what a collector may put between.
const LEAST: u64 = 22 << 20;

pub fn trials(world: &Arc<World>) -> Vec<Trial> {
    cells(world, "one_byte::is_held_once", 17, Extent::Whole, is_held_once)
}

fn is_held_once(cell: &Cell) -> Outcome {
    let stage = cell.stage("OneByte")?;
    let original = stage.start(How::Plain)?;
    take(original.pid(), &stage.image())?;
    is_left_out(&stage.image())?;
    let first = stage.restore()?;
    is_running(&first, "OneByte")?;
    let again = stage.scratch.join("second-image");
    take(first.pid(), &again)?;
    is_left_out(&again)?;
    let second = stage.restore_with(&again, |_| {})?;
    is_running(&second, "OneByte")?;
    for mut process in [second, first, original] {
        stage.check(&mut process)?;
    }
    Ok(())
}

fn is_left_out(image: &Path) -> Outcome {
    let [bytes, held] = [bytes_of(image, "java heap", "repeated")?, bytes_of(image, "java heap", "in_image")?];
    ensure!(bytes >= LEAST, "{} MB are left out of {}, {} MB are in it", bytes >> 20, image.display(), held >> 20);
    Ok(())
}
