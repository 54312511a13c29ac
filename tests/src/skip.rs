//! Skips: loud, counted, and each says how to get what is missing.

use std::collections::BTreeSet;
use std::sync::Mutex;

static SKIPS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Tells and counts one; the same reason twice counts once.
pub fn skip(what: &str, remedy: &str) {
    let line = format!("SKIP {what}: {remedy}");
    let mut skips = SKIPS.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if !skips.contains(&line) {
        eprintln!("{line}");
        skips.insert(line);
    }
}

pub fn all() -> Vec<String> {
    SKIPS.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).iter().cloned().collect()
}

/// With CI=true what can be had must be had.
pub fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true")
}
