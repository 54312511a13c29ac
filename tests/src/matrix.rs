//! Which JDK and collector a test runs with: all of them, or one after the other in rotation.

use crate::jdk::{Collector, Jdk};
use crate::{Outcome, skip};
use libtest_mimic::Trial;
use std::sync::Arc;

/// What every test may look at.
pub struct World {
    pub jdks: Vec<Jdk>,
    pub subjects: Vec<crate::subject::Subject>,
    /// `./x test --long`: the whole cross product.
    pub long: bool,
}

#[derive(Clone)]
pub struct Cell {
    pub world: Arc<World>,
    pub jdk: Jdk,
    pub collector: Collector,
}

/// How much of a matrix a test wants.
#[derive(Clone, Copy)]
pub enum Extent {
    /// Every JDK with one collector, chosen by this number; all in the long run.
    Rotated(usize),
    /// Every JDK with every collector.
    Whole,
    /// Every JDK with those of these collectors that it has.
    Of(&'static [Collector]),
}

/// A test named `name::jdkN::collector` for each cell, from this major version on.
pub fn cells(
    world: &Arc<World>,
    name: &str,
    least_jdk: u32,
    extent: Extent,
    test: impl Fn(&Cell) -> Outcome + Clone + Send + 'static,
) -> Vec<Trial> {
    let mut trials = Vec::new();
    for (row, jdk) in world.jdks.iter().enumerate().filter(|(_, jdk)| jdk.major >= least_jdk) {
        for (column, &collector) in jdk.collectors.iter().enumerate() {
            let chosen = match extent {
                Extent::Rotated(number) => world.long || (number + row) % jdk.collectors.len() == column,
                Extent::Whole => true,
                Extent::Of(wanted) => wanted.contains(&collector),
            };
            if chosen {
                let cell = Cell { world: world.clone(), jdk: jdk.clone(), collector };
                let test = test.clone();
                let name = format!("{name}::jdk{}::{}", jdk.major, collector.name());
                trials.push(trial(name, move || test(&cell)));
            }
        }
    }
    trials
}

/// A test that one JVM is enough for.
pub fn once(world: &Arc<World>, name: &str, test: impl Fn(&Cell) -> Outcome + Send + 'static) -> Vec<Trial> {
    let Some(jdk) = world.jdks.first() else { return Vec::new() };
    let Some(&collector) = jdk.collectors.first() else {
        skip::skip(name, "the JDK has no collector that Hotfork knows");
        return Vec::new();
    };
    let cell = Cell { world: world.clone(), jdk: jdk.clone(), collector };
    vec![trial(name.to_string(), move || test(&cell))]
}

/// A failure is told when it happens, not only at the end of a long run.
pub fn trial(name: String, test: impl FnOnce() -> Outcome + Send + 'static) -> Trial {
    let shown = name.clone();
    Trial::test(name, move || {
        let outcome = test();
        if let Err(why) = &outcome {
            eprintln!("\n{shown}: {why}");
        }
        Ok(outcome?)
    })
}

impl Cell {
    /// A stage for a subject of this name.
    pub fn stage(&self, subject: &str) -> Outcome<crate::subject::Stage> {
        let subject = crate::subject::named(&self.world.subjects, subject)?;
        crate::subject::Stage::new(&subject, &self.jdk, self.collector)
    }
}
