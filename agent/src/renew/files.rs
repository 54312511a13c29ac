//! Files that the captured JVM promised to delete at its exit are its own, and its images' instances need them.
//!
//! # Safety contract of this file
//! `unsafe` is used to give `DeleteOnExitHook.files` another object of its type.
#![allow(unsafe_code)]

use super::java::{DELETE_ON_EXIT, KnownClasses, LINKED_HASH_SET};
use super::objects::Reference;
use crate::jvm::{JavaError, Jvm};
use jvmti_bindings::sys::jni::jobject;

/// What `File.deleteOnExit` has registered, and an empty set to be there instead: to empty the one would be a call into Java
/// code in each instance.
pub struct DeleteOnExit {
    files: Reference,
    none: jobject,
}

impl DeleteOnExit {
    /// `None` where nobody has registered a file, or the files have been deleted.
    pub fn find(jvm: &Jvm, classes: &KnownClasses) -> Result<Option<Self>, JavaError> {
        const SIGNATURE: &str = "Ljava/util/LinkedHashSet;";
        let Some(hook) = classes.initialised(jvm, DELETE_ON_EXIT) else { return Ok(None) };
        if hook.static_object(jvm, "files", SIGNATURE)?.is_none() {
            return Ok(None);
        }
        let none = classes.needed(jvm, LINKED_HASH_SET)?.make(jvm)?;
        Ok(Some(Self { files: hook.reference(jvm, "files", SIGNATURE)?, none }))
    }

    pub fn forget(&self, jvm: &Jvm) {
        // SAFETY: `none` is a LinkedHashSet, and a local reference of this thread.
        unsafe { self.files.set(jvm, self.none) };
    }
}
