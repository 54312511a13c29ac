//! The application's own word that it is ready to be captured: `dev.hotfork.Hotfork.ready()`.
//!
//! # Safety contract of this file
//! `unsafe` gives the function the name by which HotSpot looks for a native method; nothing else has it. It takes the
//! environment and the class that JNI passes and uses neither.
#![allow(unsafe_code)]

use hotfork_frozen::instance::epoch;
use jvmti_bindings::sys::jni;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    /// Nobody waits for it.
    Unwanted,
    /// In the JVM that has this epoch; an instance of one that waits does not.
    Wanted(u32),
    Said,
}

static WORD: Mutex<Word> = Mutex::new(Word::Unwanted);
static CHANGED: Condvar = Condvar::new();

/// HotSpot looks for native methods in the agents' libraries last (nativeLookup.cpp of 17, 21 and 25).
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_hotfork_Hotfork_ready0(_: *mut jni::JNIEnv, _: jni::jclass) -> jni::jboolean {
    let mut word = WORD.lock().unwrap_or_else(PoisonError::into_inner);
    if *word != Word::Wanted(epoch()) {
        return false.into();
    }
    *word = Word::Said;
    CHANGED.notify_all();
    true.into()
}

/// From now on the word counts. Called before the application's first instruction.
pub fn expect() {
    *WORD.lock().unwrap_or_else(PoisonError::into_inner) = Word::Wanted(epoch());
}

/// From now on nobody waits for it.
pub fn forget() {
    *WORD.lock().unwrap_or_else(PoisonError::into_inner) = Word::Unwanted;
}

/// Whether the word has been said, or nobody waits for it.
pub fn is_said() -> bool {
    !matches!(*WORD.lock().unwrap_or_else(PoisonError::into_inner), Word::Wanted(_))
}

/// Waits for the word; false if it was not said in time. From then on nobody wants it.
pub fn wait(deadline: Option<Duration>) -> bool {
    // One that is too far away to be told never comes.
    let end = deadline.and_then(|deadline| Instant::now().checked_add(deadline));
    let mut word = WORD.lock().unwrap_or_else(PoisonError::into_inner);
    while matches!(*word, Word::Wanted(_)) {
        let Some(end) = end else {
            word = CHANGED.wait(word).unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        word = CHANGED.wait_timeout(word, left).unwrap_or_else(PoisonError::into_inner).0;
    }
    std::mem::replace(&mut *word, Word::Unwanted) == Word::Said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_expected_word_counts_and_only_once() {
        let say = || Java_dev_hotfork_Hotfork_ready0(std::ptr::null_mut(), std::ptr::null_mut()) != 0;
        assert!(!say(), "nobody waits yet");
        expect();
        assert!(!wait(Some(Duration::ZERO)), "it was not said");
        expect();
        let waiting = std::thread::spawn(|| wait(None));
        assert!(say());
        assert!(waiting.join().unwrap());
        assert!(!say(), "nobody waits any more");
    }
}
