//! Reading and writing fields of the JDK's classes, and the classes that renewal knows.
//!
//! # Safety contract of this file
//! Classes are global references made before the capture; objects are local references of the
//! renewing thread. Field and method signatures are those of JDK 17, 21 and 25; a missing one is an
//! error, not a crash, since JNI answers null with an exception.
#![allow(unsafe_code)]

use crate::hotspot::libjvm::exported;
use crate::jvm::{JavaError, Jvm};
use jvmti_bindings::sys::jni;
use std::ffi::{CString, c_char};

/// Class names, all of java.base and so of the boot loader.
pub const PROCESS_ENVIRONMENT: &str = "java/lang/ProcessEnvironment";
pub const VARIABLE: &str = "java/lang/ProcessEnvironment$Variable";
pub const VALUE: &str = "java/lang/ProcessEnvironment$Value";
pub const HASH_MAP: &str = "java/util/HashMap";
pub const PROCESS_HANDLE: &str = "java/lang/ProcessHandleImpl";
pub const ATOMIC_LONG: &str = "java/util/concurrent/atomic/AtomicLong";
pub const THREAD: &str = "java/lang/Thread";
pub const RANDOM: &str = "java/util/Random";
pub const THREAD_LOCAL_RANDOM: &str = "java/util/concurrent/ThreadLocalRandom";
pub const SPLITTABLE_RANDOM: &str = "java/util/SplittableRandom";
pub const MATH_RANDOM: &str = "java/lang/Math$RandomNumberGeneratorHolder";
pub const STRICT_MATH_RANDOM: &str = "java/lang/StrictMath$RandomNumberGeneratorHolder";
pub const COLLECTIONS: &str = "java/util/Collections";
pub const NATIVE_PRNG: &str = "sun/security/provider/NativePRNG";
pub const NATIVE_PRNG_BLOCKING: &str = "sun/security/provider/NativePRNG$Blocking";
pub const NATIVE_PRNG_NON_BLOCKING: &str = "sun/security/provider/NativePRNG$NonBlocking";
pub const RANDOM_IO: &str = "sun/security/provider/NativePRNG$RandomIO";
pub const SHA1_PRNG: &str = "sun/security/provider/SecureRandom";
pub const SHA1_SEEDER: &str = "sun/security/provider/SecureRandom$SeederHolder";
pub const DELETE_ON_EXIT: &str = "java/io/DeleteOnExitHook";
pub const HASH_SET: &str = "java/util/HashSet";

const KNOWN: [&str; 21] = [
    PROCESS_ENVIRONMENT,
    VARIABLE,
    VALUE,
    HASH_MAP,
    PROCESS_HANDLE,
    ATOMIC_LONG,
    THREAD,
    RANDOM,
    THREAD_LOCAL_RANDOM,
    SPLITTABLE_RANDOM,
    MATH_RANDOM,
    STRICT_MATH_RANDOM,
    COLLECTIONS,
    NATIVE_PRNG,
    NATIVE_PRNG_BLOCKING,
    NATIVE_PRNG_NON_BLOCKING,
    RANDOM_IO,
    SHA1_PRNG,
    SHA1_SEEDER,
    DELETE_ON_EXIT,
    HASH_SET,
];
const CLASS_INITIALIZED: i32 = 4;

/// Global references to the known classes.
pub struct KnownClasses(Vec<(&'static str, jni::jclass)>);

impl KnownClasses {
    /// Loads them where they are not loaded yet, but initialises none: that would change the application
    /// (NativePRNG opens files).
    pub fn look_up(jvm: &Jvm) -> Result<Self, JavaError> {
        type FindClass = unsafe extern "system" fn(*mut jni::JNIEnv, *const c_char) -> jni::jclass;
        let find = exported("JVM_FindClassFromBootLoader")
            .ok_or_else(|| JavaError("libjvm does not export JVM_FindClassFromBootLoader".into()))?;
        // SAFETY: this exported function has this signature in 17, 21 and 25 (jvm.h).
        let find: FindClass = unsafe { std::mem::transmute::<usize, FindClass>(find as usize) };
        let mut classes = Vec::with_capacity(KNOWN.len());
        for name in KNOWN {
            let Ok(text) = CString::new(name) else { continue };
            // SAFETY: this thread's environment and a C string; the result is a local reference or null.
            let class = unsafe { find(jvm.jni.raw(), text.as_ptr()) };
            jvm.check(name)?;
            if !class.is_null() {
                // SAFETY: a live local reference, released once the global one exists.
                let global = unsafe {
                    let global = jvm.jni.new_global_ref(class);
                    jvm.jni.delete_local_ref(class);
                    global
                };
                classes.push((name, global));
            }
        }
        Ok(Self(classes))
    }

    /// The class, if this JVM has it and somebody has initialised it.
    pub fn initialised(&self, jvm: &Jvm, name: &str) -> Option<Class> {
        let (name, class) = self.0.iter().find(|(known, _)| *known == name).copied()?;
        // SAFETY: a global reference to a class.
        let status = unsafe { jvm.ti.get_class_status(class) }.ok()?;
        (status & CLASS_INITIALIZED != 0).then_some(Class { name, class })
    }

    /// As `initialised`; its absence is an error.
    pub fn needed(&self, jvm: &Jvm, name: &str) -> Result<Class, JavaError> {
        self.initialised(jvm, name).ok_or_else(|| JavaError(format!("class {name} is not initialised")))
    }
}

#[derive(Clone, Copy)]
pub struct Class {
    name: &'static str,
    class: jni::jclass,
}

impl Class {
    fn missing(self, jvm: &Jvm, member: &str) -> JavaError {
        jvm.jni.exception_clear();
        JavaError(format!("class {} has no {member} (another JDK than 17, 21 or 25?)", self.name))
    }

    fn field(self, jvm: &Jvm, name: &str, signature: &str) -> Result<jni::jfieldID, JavaError> {
        // SAFETY: the class is a live global reference.
        unsafe { jvm.jni.get_field_id(self.class, name, signature) }.ok_or_else(|| self.missing(jvm, name))
    }

    pub fn static_object(self, jvm: &Jvm, name: &str, signature: &str) -> Result<Option<jni::jobject>, JavaError> {
        // SAFETY: the class is a live global reference, the field was just found in it.
        let object = unsafe {
            let field = jvm.jni.get_static_field_id(self.class, name, signature);
            let field = field.ok_or_else(|| self.missing(jvm, name))?;
            jvm.jni.get_static_object_field(self.class, field)
        };
        Ok((!object.is_null()).then_some(object))
    }

    pub fn object(
        self,
        jvm: &Jvm,
        of: jni::jobject,
        name: &str,
        signature: &str,
    ) -> Result<Option<jni::jobject>, JavaError> {
        let field = self.field(jvm, name, signature)?;
        // SAFETY: `of` is an instance of this class, the field was found in it.
        let object = unsafe { jvm.jni.get_object_field(of, field) };
        Ok((!object.is_null()).then_some(object))
    }

    pub fn set_int(self, jvm: &Jvm, of: jni::jobject, name: &str, value: i32) -> Result<(), JavaError> {
        let field = self.field(jvm, name, "I")?;
        // SAFETY: as for `object`; the field is an int.
        unsafe { jvm.jni.set_int_field(of, field, value) };
        Ok(())
    }

    pub fn set_long(self, jvm: &Jvm, of: jni::jobject, name: &str, value: i64) -> Result<(), JavaError> {
        let field = self.field(jvm, name, "J")?;
        // SAFETY: as for `object`; the field is a long.
        unsafe { jvm.jni.set_long_field(of, field, value) };
        Ok(())
    }

    fn static_method(self, jvm: &Jvm, name: &str, signature: &str) -> Result<jni::jmethodID, JavaError> {
        // SAFETY: the class is a live global reference.
        unsafe { jvm.jni.get_static_method_id(self.class, name, signature) }.ok_or_else(|| self.missing(jvm, name))
    }

    pub fn call_static(
        self,
        jvm: &Jvm,
        name: &str,
        signature: &str,
        arguments: &[jni::jvalue],
    ) -> Result<jni::jobject, JavaError> {
        let method = self.static_method(jvm, name, signature)?;
        // SAFETY: the method returns an object and takes what the signature and the caller agree on.
        let result = unsafe { jvm.jni.call_static_object_method(self.class, method, arguments) };
        jvm.check(name)?;
        Ok(result)
    }

    pub fn call_static_long(self, jvm: &Jvm, name: &str, argument: i64) -> Result<i64, JavaError> {
        let method = self.static_method(jvm, name, "(J)J")?;
        // SAFETY: a static method long(long) of this class; the raw table is this thread's environment's.
        let result = unsafe {
            let env = jvm.jni.raw();
            ((**env).CallStaticLongMethodA)(env, self.class, method, [jni::jvalue { j: argument }].as_ptr())
        };
        jvm.check(name)?;
        Ok(result)
    }

    /// Calls a method without arguments or result.
    pub fn call_void(self, jvm: &Jvm, of: jni::jobject, name: &str) -> Result<(), JavaError> {
        // SAFETY: the class is a live global reference; `of` is an instance of it; the method is void name().
        unsafe {
            let method = jvm.jni.get_method_id(self.class, name, "()V").ok_or_else(|| self.missing(jvm, name))?;
            jvm.jni.call_void_method(of, method, &[]);
        }
        jvm.check(name)
    }

    pub fn call(
        self,
        jvm: &Jvm,
        of: jni::jobject,
        name: &str,
        signature: &str,
        arguments: &[jni::jvalue],
    ) -> Result<jni::jobject, JavaError> {
        // SAFETY: the class is a live global reference; `of` an instance of it; the method returns an object.
        let result = unsafe {
            let method = jvm.jni.get_method_id(self.class, name, signature).ok_or_else(|| self.missing(jvm, name))?;
            jvm.jni.call_object_method(of, method, arguments)
        };
        jvm.check(name)?;
        Ok(result)
    }
}

/// A byte[] with these contents.
pub fn byte_array(jvm: &Jvm, bytes: &[u8]) -> Result<jni::jobject, JavaError> {
    let array = jvm.jni.new_byte_array(bytes.len() as i32).ok_or_else(|| JavaError("no memory for a byte[]".into()))?;
    overwrite(jvm, array, bytes);
    Ok(array)
}

/// Writes over the first bytes of a byte[].
pub fn overwrite(jvm: &Jvm, array: jni::jobject, bytes: &[u8]) {
    // SAFETY: `array` is a byte[] of at least that length; JNI checks bounds itself. jbyte is i8.
    unsafe {
        let env = jvm.jni.raw();
        ((**env).SetByteArrayRegion)(env, array, 0, bytes.len() as i32, bytes.as_ptr().cast());
    }
    if jvm.jni.exception_check() {
        jvm.jni.exception_clear();
    }
}

pub fn drop_local(jvm: &Jvm, reference: jni::jobject) {
    // SAFETY: a local reference of this thread, not used again by the caller.
    unsafe { jvm.jni.delete_local_ref(reference) };
}
