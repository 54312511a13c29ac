//! A thread's view of the JVM: the JVMTI environment and its own JNI environment.
//!
//! # Safety contract of this file
//! `Jvm` is made on a thread that the JVM called or attached, and stays on it (it is not Send). JNI
//! references used with it are local references of that thread's frame, or global ones.
#![allow(unsafe_code)]

use hotfork_frozen::instance::epoch;
use jvmti_bindings::env::{JniEnv, Jvmti};
use jvmti_bindings::sys::jni;
use jvmti_bindings::sys::jvmti;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};

pub struct Jvm {
    pub ti: Jvmti,
    pub jni: JniEnv,
}

/// A Java exception was thrown, or a reference was not there; what was tried.
#[derive(Debug, thiserror::Error)]
#[error("the JVM refused: {0}")]
pub struct JavaError(pub String);

type Work = Box<dyn FnOnce(&Jvm) + Send>;

impl Jvm {
    /// Runs `work` on a new daemon thread in the system thread group. Threads of that group are not
    /// suspended for a capture, and applications do not see them as theirs.
    pub fn spawn(&self, name: &str, work: Work) -> Result<(), JavaError> {
        let thread = self.new_thread(name)?;
        let argument = Box::into_raw(Box::new(work));
        // SAFETY: `thread` is a fresh java.lang.Thread; `agent_thread` takes the box over exactly once.
        let started = unsafe { self.ti.run_agent_thread(thread, agent_thread, argument.cast(), 5) };
        if let Err(error) = started {
            // SAFETY: the thread did not start, so the box is still ours.
            drop(unsafe { Box::from_raw(argument) });
            return Err(JavaError(format!("a thread for the agent could not be started ({error:?})")));
        }
        Ok(())
    }

    fn new_thread(&self, name: &str) -> Result<jni::jobject, JavaError> {
        let class = self.class("java/lang/Thread")?;
        let group = self.system_group()?;
        let name = self.jni.new_string_utf(name);
        // SAFETY: class, group and name are live local references of this thread; the constructor has this signature.
        let thread = unsafe {
            let constructor = self.jni.get_method_id(class, "<init>", "(Ljava/lang/ThreadGroup;Ljava/lang/String;)V");
            match (constructor, name) {
                (Some(constructor), Some(name)) => {
                    self.jni.new_object(class, constructor, &[jni::jvalue { l: group }, jni::jvalue { l: name }])
                }
                _ => None,
            }
        };
        self.check("new Thread")?;
        thread.ok_or_else(|| JavaError("new Thread gave null".into()))
    }

    /// The root of the thread groups.
    pub fn system_group(&self) -> Result<jni::jobject, JavaError> {
        let groups =
            self.ti.get_top_thread_groups().map_err(|error| JavaError(format!("GetTopThreadGroups: {error:?}")))?;
        groups.first().copied().ok_or_else(|| JavaError("there is no top thread group".into()))
    }

    pub fn class(&self, name: &str) -> Result<jni::jclass, JavaError> {
        let class = self.jni.find_class(name);
        self.check(name)?;
        class.ok_or_else(|| JavaError(format!("no class {name}")))
    }

    /// Turns a pending Java exception into an error.
    pub fn check(&self, what: &str) -> Result<(), JavaError> {
        if self.jni.exception_check() {
            self.jni.exception_clear();
            return Err(JavaError(format!("{what} threw an exception")));
        }
        Ok(())
    }

    /// How many classes are loaded.
    pub fn count_classes(&self) -> Option<u64> {
        let classes = self.ti.get_loaded_classes().ok()?;
        for &class in &classes {
            // SAFETY: a local reference that JVMTI has just made for this thread.
            unsafe { self.jni.delete_local_ref(class) };
        }
        Some(classes.len() as u64)
    }

    /// Such as 21.
    pub fn java_version(&self) -> Option<u32> {
        self.property("java.vm.specification.version").parse().ok()
    }

    pub fn property(&self, name: &str) -> String {
        self.ti.get_system_property(name).unwrap_or_default()
    }
}

extern "system" fn agent_thread(ti: *mut jvmti::jvmtiEnv, env: *mut jni::JNIEnv, argument: *mut c_void) {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: RunAgentThread passes this thread's environments, and the box that `spawn` gave away.
        let (jvm, work) = unsafe {
            let jvm = Jvm { ti: Jvmti::from_raw(ti), jni: JniEnv::from_raw(env) };
            (jvm, Box::from_raw(argument.cast::<Work>()))
        };
        let born = epoch();
        work(&jvm);
        // In an instance it never ends: that would take a hundred pages of its own, for nothing.
        while epoch() != born {
            crate::renew::finish();
            // `std::thread::park` allocates when a thread calls it first: thirteen pages of an instance's own.
            nix::unistd::pause();
        }
    }));
    if outcome.is_err() {
        crate::report::line("the agent failed inside (this is a bug); the JVM goes on without it");
    }
}
