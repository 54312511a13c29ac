//! Whether a JVM has changed since its image was taken, and whether an image of now is better: a pure function of the
//! evidence that the image was taken on, and of the ticks since.
//!
//! The image is compared with what the JVM is, not with the tick before, so a slow change counts as much as a sudden one. A JVM
//! that always changes a little gets ever fewer images: one when it has done as much work again as before the last.

use super::decision::{COLD_PER_CENT_POSSIBLE, Detector, NEW_METHODS_AT_MOST, SAMPLES_AT_LEAST, Verdict, cold, wanted};
use hotfork_abi::warm::{Evidence, Tick, WARM};
use std::fmt;

const NEW_CLASSES_AT_LEAST: u64 = 50;
/// And so many more: a fiftieth of all.
const NEW_CLASSES_OF_ALL: u64 = 50;
/// Compilers go on a little after a verdict: of 800 methods they added 20 in the recorded traces.
const NEW_METHODS_AT_LEAST: u32 = 30;
/// And so many more: a tenth of all.
const CHANGED_METHODS_OF_ALL: u32 = 10;
/// What was cold has been compiled if more are new than a verdict allows in any case, and a fiftieth of all besides.
const COMPILED_METHODS_OF_ALL: u32 = 50;
/// Work between two images, where the JVM has not done more before the first.
const WORK_AT_LEAST: u64 = 5_000_000_000;
/// Nor is more waited for.
const WORK_AT_MOST: u64 = 600_000_000_000;

/// What an image lacks of the JVM that it was taken of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    Classes(u64),
    Methods(u32),
    Cold { per_cent: f64 },
}

/// The JVM since its image was taken.
pub struct Since {
    image: Evidence,
    detector: Detector,
    /// Once it has changed: how.
    changed: Option<Vec<Change>>,
    /// No tick so far.
    begins: bool,
}

pub enum Seen {
    Nothing,
    /// For the first time since the image.
    Changed(Vec<Change>),
    /// An image on this evidence is better. Why, in words.
    Better(Evidence, String),
}

impl Since {
    pub fn new(image: Evidence) -> Self {
        // An image that is not proven warm needs no change to be worse than one that is.
        let changed = (!is_proven(&image)).then(Vec::new);
        Self { detector: Detector::after(&image), image, changed, begins: true }
    }

    pub fn push(&mut self, tick: Tick) -> Seen {
        if std::mem::take(&mut self.begins) {
            // The collection before a capture drops code that is not in use.
            self.image.hot_methods = self.image.hot_methods.min(tick.hot_methods);
        }
        let (Verdict::Warm(now) | Verdict::NotYet(now, _)) = self.detector.push(tick);
        match &self.changed {
            Some(changed) => match gain(&self.image, changed, &now) {
                Some(why) if is_time(&self.image, &now) => Seen::Better(now, why),
                _ => Seen::Nothing,
            },
            None => match changes(&self.image, &now) {
                changes if changes.is_empty() => Seen::Nothing,
                changes => {
                    self.detector.forget();
                    self.changed = Some(changes.clone());
                    Seen::Changed(changes)
                }
            },
        }
    }
}

pub fn is_proven(image: &Evidence) -> bool {
    image.verdict == WARM
}

/// How far the JVM of now is from its image.
fn changes(image: &Evidence, now: &Evidence) -> Vec<Change> {
    let (mut changes, samples) = (new_code(image, now), now.hot + now.cold);
    if samples >= SAMPLES_AT_LEAST && now.app_cpu >= wanted(now.app_cpu_total) {
        let share = cold(now.cold, samples);
        if share.certain > COLD_PER_CENT_POSSIBLE {
            changes.push(Change::Cold { per_cent: share.per_cent });
        }
    }
    changes
}

fn new_code(image: &Evidence, now: &Evidence) -> Vec<Change> {
    let (classes, methods) = (now.classes.saturating_sub(image.classes), new_methods(image, now));
    let many_classes = classes > NEW_CLASSES_AT_LEAST + image.classes / NEW_CLASSES_OF_ALL;
    let many_methods = methods > NEW_METHODS_AT_LEAST + image.hot_methods / CHANGED_METHODS_OF_ALL;
    let found = [many_classes.then_some(Change::Classes(classes)), many_methods.then_some(Change::Methods(methods))];
    found.into_iter().flatten().collect()
}

fn new_methods(image: &Evidence, now: &Evidence) -> u32 {
    now.hot_methods.saturating_sub(image.hot_methods)
}

/// Why an image of now is better, if it is.
fn gain(image: &Evidence, changed: &[Change], now: &Evidence) -> Option<String> {
    if !is_proven(now) {
        return None;
    }
    if !is_proven(image) {
        return Some("warm; the image before was not proven warm".into());
    }
    let mut gained = new_code(image, now);
    // Cold code that is not compiled by now was used once.
    if new_methods(image, now) > NEW_METHODS_AT_MOST + image.hot_methods / COMPILED_METHODS_OF_ALL {
        gained.extend(changed.iter().filter(|change| matches!(change, Change::Cold { .. })));
    }
    (!gained.is_empty()).then(|| format!("warm again; since the last image {}", words(&gained)))
}

fn is_time(image: &Evidence, now: &Evidence) -> bool {
    let between = image.app_cpu_total.clamp(WORK_AT_LEAST, WORK_AT_MOST);
    !is_proven(image) || now.app_cpu_total.saturating_sub(image.app_cpu_total) >= between
}

pub fn words(changes: &[Change]) -> String {
    changes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Classes(new) => write!(f, "{new} classes are new"),
            Self::Methods(new) => write!(f, "{new} methods are newly compiled for good"),
            Self::Cold { per_cent } => {
                write!(f, "{per_cent:.0} % of the time went into code that was not compiled for good")
            }
        }
    }
}

#[cfg(test)]
#[path = "change_tests.rs"]
mod tests;
