//! What is awaited before a capture.

use crate::cat::Cat;
use hotfork_tests::hotfork::{finish, inspected, snapshot_at_rest};
use hotfork_tests::matrix::{Cell, Extent, World, cells};
use hotfork_tests::subject::How;
use hotfork_tests::{Outcome, ensure_eq};
use libtest_mimic::Trial;
use std::sync::Arc;

pub fn trials(world: &Arc<World>) -> Vec<Trial> {
    cells(world, "rest::compilers", 17, Extent::Rotated(3), compilers)
}

/// Compilers that come to rest are awaited; of those that do not, the image says so.
fn compilers(cell: &Cell) -> Outcome {
    let cat = Cat::new(cell)?;
    let mut quiet = cat.talk()?;
    snapshot_at_rest(quiet.process.pid(), &cat.image())?.succeeds()?;
    ensure_eq!(inspected(&cat.image())?["taken"]["occasion"], "asked for", "occasion of a quiet JVM's image");
    quiet.exits(0)?;
    finish("restore", cat.restore())?.succeeds()?;

    let stage = cell.stage("JitStorm")?;
    let mut original = stage.start(How::ALL[0])?;
    snapshot_at_rest(original.pid(), &stage.image())?.succeeds()?;
    let occasion = &inspected(&stage.image())?["taken"]["occasion"];
    ensure_eq!(*occasion, "asked for; its compilers were still at work", "occasion of a busy JVM's image");
    let mut instance = stage.restore()?;
    stage.check(&mut instance)?;
    stage.check(&mut original)
}
