//! The classes that renewal knows, their members and methods.
//!
//! # Safety contract of this file
//! Classes are global references made before the capture; objects are local references of the
//! renewing thread. Field and method signatures are those of JDK 17, 21 and 25; a missing one is an
//! error, not a crash, since JNI answers null with an exception.
#![allow(unsafe_code)]

use super::objects::{Int, Long, ObjectField, Reference};
use crate::hotspot::libjvm::exported;
use crate::jvm::{JavaError, Jvm};
use jvmti_bindings::sys::jni;
use std::ffi::{CString, c_char};

/// Class names, all of java.base and so of the boot loader.
pub const PROCESS_ENVIRONMENT: &str = "java/lang/ProcessEnvironment";
pub const VARIABLE: &str = "java/lang/ProcessEnvironment$Variable";
pub const VALUE: &str = "java/lang/ProcessEnvironment$Value";
pub const HASH_MAP: &str = "java/util/HashMap";
pub const NODE: &str = "java/util/HashMap$Node";
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
pub const LINKED_HASH_SET: &str = "java/util/LinkedHashSet";

const KNOWN: [&str; 22] = [
    PROCESS_ENVIRONMENT,
    VARIABLE,
    VALUE,
    HASH_MAP,
    NODE,
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
    LINKED_HASH_SET,
];
const CLASS_INITIALIZED: i32 = 4;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Field,
    StaticField,
    Method,
    StaticMethod,
}
use Kind::*;

/// Members that renewal uses, looked up before the capture. One that is missing here is looked up when it is used: while the
/// application stands still, or in an instance, where that costs a page fault or two.
const MEMBERS: [(&str, Kind, &str, &str); 37] = [
    (PROCESS_ENVIRONMENT, StaticField, "theEnvironment", "Ljava/util/HashMap;"),
    (VARIABLE, StaticMethod, "valueOf", "([B)Ljava/lang/ProcessEnvironment$Variable;"),
    (VALUE, StaticMethod, "valueOf", "([B)Ljava/lang/ProcessEnvironment$Value;"),
    (HASH_MAP, Method, "remove", "(Ljava/lang/Object;)Ljava/lang/Object;"),
    (HASH_MAP, Method, "put", "(Ljava/lang/Object;Ljava/lang/Object;)Ljava/lang/Object;"),
    (HASH_MAP, Field, "table", "[Ljava/util/HashMap$Node;"),
    (NODE, Field, "key", "Ljava/lang/Object;"),
    (NODE, Field, "value", "Ljava/lang/Object;"),
    (NODE, Field, "next", "Ljava/util/HashMap$Node;"),
    (VARIABLE, Field, "bytes", "[B"),
    (VALUE, Field, "bytes", "[B"),
    (VALUE, Field, "str", "Ljava/lang/String;"),
    (PROCESS_HANDLE, StaticField, "current", "Ljava/lang/ProcessHandleImpl;"),
    (PROCESS_HANDLE, StaticMethod, "isAlive0", "(J)J"),
    (PROCESS_HANDLE, Field, "pid", "J"),
    (PROCESS_HANDLE, Field, "startTime", "J"),
    (ATOMIC_LONG, Field, "value", "J"),
    (THREAD, Field, "threadLocalRandomProbe", "I"),
    (THREAD, Field, "threadLocalRandomSeed", "J"),
    (RANDOM, StaticField, "seedUniquifier", "Ljava/util/concurrent/atomic/AtomicLong;"),
    (RANDOM, Field, "seed", "Ljava/util/concurrent/atomic/AtomicLong;"),
    (THREAD_LOCAL_RANDOM, StaticField, "seeder", "Ljava/util/concurrent/atomic/AtomicLong;"),
    (SPLITTABLE_RANDOM, StaticField, "defaultGen", "Ljava/util/concurrent/atomic/AtomicLong;"),
    (MATH_RANDOM, StaticField, "randomNumberGenerator", "Ljava/util/Random;"),
    (STRICT_MATH_RANDOM, StaticField, "randomNumberGenerator", "Ljava/util/Random;"),
    (COLLECTIONS, StaticField, "r", "Ljava/util/Random;"),
    (NATIVE_PRNG, StaticField, "INSTANCE", "Lsun/security/provider/NativePRNG$RandomIO;"),
    (NATIVE_PRNG_BLOCKING, StaticField, "INSTANCE", "Lsun/security/provider/NativePRNG$RandomIO;"),
    (NATIVE_PRNG_NON_BLOCKING, StaticField, "INSTANCE", "Lsun/security/provider/NativePRNG$RandomIO;"),
    (RANDOM_IO, Field, "buffered", "I"),
    (RANDOM_IO, Field, "lastRead", "J"),
    (RANDOM_IO, Field, "mixRandom", "Lsun/security/provider/SecureRandom;"),
    (SHA1_PRNG, Field, "state", "[B"),
    (SHA1_PRNG, Field, "remCount", "I"),
    (DELETE_ON_EXIT, StaticField, "files", "Ljava/util/LinkedHashSet;"),
    (LINKED_HASH_SET, Method, "<init>", "()V"),
    (SHA1_SEEDER, StaticField, "seeder", "Lsun/security/provider/SecureRandom;"),
];

/// A field's or method's identity, valid as long as its class is.
#[derive(Clone, Copy)]
union Id {
    field: jni::jfieldID,
    method: jni::jmethodID,
}

struct Known {
    name: &'static str,
    class: jni::jclass,
    /// Once true it stays true; false is asked again.
    initialised: bool,
    members: Vec<(Kind, &'static str, &'static str, Id)>,
}

/// Global references to the known classes.
pub struct KnownClasses(Vec<Known>);

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
                classes.push(Known::of(jvm, name, global));
            }
        }
        Ok(Self(classes))
    }

    /// The class, if this JVM has it and somebody has initialised it.
    pub fn initialised(&self, jvm: &Jvm, name: &str) -> Option<Class<'_>> {
        let known = self.0.iter().find(|known| known.name == name)?;
        (known.initialised || is_initialised(jvm, known.class)).then_some(Class(known))
    }

    /// As `initialised`; its absence is an error.
    pub fn needed(&self, jvm: &Jvm, name: &str) -> Result<Class<'_>, JavaError> {
        self.initialised(jvm, name).ok_or_else(|| JavaError(format!("class {name} is not initialised")))
    }
}

fn is_initialised(jvm: &Jvm, class: jni::jclass) -> bool {
    // SAFETY: a global reference to a class.
    unsafe { jvm.ti.get_class_status(class) }.is_ok_and(|status| status & CLASS_INITIALIZED != 0)
}

impl Known {
    /// Looks up the members of a class that is initialised: JNI would initialise one that is not.
    fn of(jvm: &Jvm, name: &'static str, class: jni::jclass) -> Self {
        let mut known = Self { name, class, initialised: is_initialised(jvm, class), members: Vec::new() };
        if known.initialised {
            let own = MEMBERS.iter().filter(|(class, ..)| *class == name);
            let members = own.filter_map(|&(_, kind, member, signature)| {
                // A JDK without it: whoever uses it says so.
                Some((kind, member, signature, Class(&known).look_up(jvm, kind, member, signature).ok()?))
            });
            known.members = members.collect();
        }
        known
    }
}

#[derive(Clone, Copy)]
pub struct Class<'a>(&'a Known);

impl Class<'_> {
    fn id(self, jvm: &Jvm, kind: Kind, name: &str, signature: &str) -> Result<Id, JavaError> {
        let mut members = self.0.members.iter();
        let known = members.find(|member| (member.0, member.1, member.2) == (kind, name, signature));
        known.map_or_else(|| self.look_up(jvm, kind, name, signature), |known| Ok(known.3))
    }

    fn look_up(self, jvm: &Jvm, kind: Kind, name: &str, signature: &str) -> Result<Id, JavaError> {
        let class = self.0.class;
        // SAFETY: the class is a live global reference to an initialised class.
        let id = unsafe {
            match kind {
                Field => jvm.jni.get_field_id(class, name, signature).map(|field| Id { field }),
                StaticField => jvm.jni.get_static_field_id(class, name, signature).map(|field| Id { field }),
                Method => jvm.jni.get_method_id(class, name, signature).map(|method| Id { method }),
                StaticMethod => jvm.jni.get_static_method_id(class, name, signature).map(|method| Id { method }),
            }
        };
        id.ok_or_else(|| {
            jvm.jni.exception_clear();
            JavaError(format!("class {} has no {name} (another JDK than 17, 21 or 25?)", self.0.name))
        })
    }

    fn field(self, jvm: &Jvm, kind: Kind, name: &str, signature: &str) -> Result<jni::jfieldID, JavaError> {
        // SAFETY: called with the kinds of fields.
        self.id(jvm, kind, name, signature).map(|id| unsafe { id.field })
    }

    fn method(self, jvm: &Jvm, kind: Kind, name: &str, signature: &str) -> Result<jni::jmethodID, JavaError> {
        // SAFETY: called with the kinds of methods.
        self.id(jvm, kind, name, signature).map(|id| unsafe { id.method })
    }

    pub fn static_object(self, jvm: &Jvm, name: &str, signature: &str) -> Result<Option<jni::jobject>, JavaError> {
        let field = self.field(jvm, StaticField, name, signature)?;
        // SAFETY: the class is a live global reference, the field was found in it.
        let object = unsafe { jvm.jni.get_static_object_field(self.0.class, field) };
        Ok((!object.is_null()).then_some(object))
    }

    pub fn object(
        self,
        jvm: &Jvm,
        of: jni::jobject,
        name: &str,
        signature: &str,
    ) -> Result<Option<jni::jobject>, JavaError> {
        let field = self.field(jvm, Field, name, signature)?;
        // SAFETY: `of` is an instance of this class, the field was found in it.
        let object = unsafe { jvm.jni.get_object_field(of, field) };
        Ok((!object.is_null()).then_some(object))
    }

    pub fn long(self, jvm: &Jvm, of: jni::jobject, name: &str) -> Result<Long, JavaError> {
        Ok(Long(of, self.field(jvm, Field, name, "J")?))
    }

    pub fn int(self, jvm: &Jvm, of: jni::jobject, name: &str) -> Result<Int, JavaError> {
        Ok(Int(of, self.field(jvm, Field, name, "I")?))
    }

    /// A field that holds an object.
    pub fn object_field(self, jvm: &Jvm, name: &str, signature: &str) -> Result<ObjectField, JavaError> {
        Ok(ObjectField(self.field(jvm, Field, name, signature)?))
    }

    /// An object whose fields are all 0 or null: no constructor is called.
    pub fn allocate(self, jvm: &Jvm) -> Result<jni::jobject, JavaError> {
        // SAFETY: the class is a live global reference to an initialised class.
        let object = unsafe { jvm.jni.alloc_object(self.0.class) };
        jvm.check(self.0.name)?;
        object.ok_or_else(|| JavaError(format!("no memory for a {}", self.0.name)))
    }

    /// A static field that holds an object.
    pub fn reference(self, jvm: &Jvm, name: &str, signature: &str) -> Result<Reference, JavaError> {
        Ok(Reference(self.0.class, self.field(jvm, StaticField, name, signature)?))
    }

    /// An object by the constructor without arguments.
    pub fn make(self, jvm: &Jvm) -> Result<jni::jobject, JavaError> {
        let constructor = self.method(jvm, Method, "<init>", "()V")?;
        // SAFETY: the class is a live global reference, the constructor was found in it.
        let object = unsafe {
            let env = jvm.jni.raw();
            ((**env).NewObjectA)(env, self.0.class, constructor, std::ptr::null())
        };
        jvm.check(self.0.name)?;
        Ok(object)
    }

    pub fn call_static(
        self,
        jvm: &Jvm,
        name: &str,
        signature: &str,
        arguments: &[jni::jvalue],
    ) -> Result<jni::jobject, JavaError> {
        let method = self.method(jvm, StaticMethod, name, signature)?;
        // SAFETY: the method returns an object and takes what the signature and the caller agree on.
        let result = unsafe { jvm.jni.call_static_object_method(self.0.class, method, arguments) };
        jvm.check(name)?;
        Ok(result)
    }

    pub fn call_static_long(self, jvm: &Jvm, name: &str, argument: i64) -> Result<i64, JavaError> {
        let method = self.method(jvm, StaticMethod, name, "(J)J")?;
        // SAFETY: a static method long(long) of this class; the raw table is this thread's environment's.
        let result = unsafe {
            let env = jvm.jni.raw();
            ((**env).CallStaticLongMethodA)(env, self.0.class, method, [jni::jvalue { j: argument }].as_ptr())
        };
        jvm.check(name)?;
        Ok(result)
    }

    pub fn call(
        self,
        jvm: &Jvm,
        of: jni::jobject,
        name: &str,
        signature: &str,
        arguments: &[jni::jvalue],
    ) -> Result<jni::jobject, JavaError> {
        let method = self.method(jvm, Method, name, signature)?;
        // SAFETY: `of` is an instance of this class; the method returns an object.
        let result = unsafe { jvm.jni.call_object_method(of, method, arguments) };
        jvm.check(name)?;
        Ok(result)
    }
}
