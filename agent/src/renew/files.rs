//! Files that the captured JVM promised to delete at its exit are its own, and its images' instances need them.

use super::java::{DELETE_ON_EXIT, HASH_SET, KnownClasses};
use crate::jvm::{JavaError, Jvm};

/// Forgets what `File.deleteOnExit` has registered so far.
pub fn forget_delete_on_exit(jvm: &Jvm, classes: &KnownClasses) -> Result<(), JavaError> {
    let Some(hook) = classes.initialised(jvm, DELETE_ON_EXIT) else { return Ok(()) };
    // Null once the hook has run.
    let Some(files) = hook.static_object(jvm, "files", "Ljava/util/LinkedHashSet;")? else { return Ok(()) };
    classes.needed(jvm, HASH_SET)?.call_void(jvm, files, "clear")
}
