//! The environment: `System.getenv` (a map that the JDK made once) and libc's `environ`.
//!
//! # Safety contract of this file
//! The new variables lie in memory that the restore mapped for good, the old ones in the image's. `environ` is
//! swapped while no application thread runs.
//!
//! Nothing is allocated for what has not changed: an allocation writes to pages that instances share.
#![allow(unsafe_code)]

use super::entries::Entries;
use super::java::{self, HASH_MAP, KnownClasses, PROCESS_ENVIRONMENT, VALUE, VARIABLE};
use super::objects::{byte_array, drop_local};
use crate::jvm::{JavaError, Jvm};
use hotfork_abi::restore::InstanceArgs;
use jvmti_bindings::sys::jni::{jobject, jvalue};
use std::ffi::{CStr, c_char};
use std::ptr::null_mut;

unsafe extern "C" {
    static mut environ: *mut *mut c_char;
}

/// Calls once, on a map that nobody sees, what an instance will call: else its calls would resolve call sites and
/// allocate, 0.8 ms in all.
pub fn rehearse(jvm: &Jvm, classes: &KnownClasses) -> Result<(), JavaError> {
    let used = [PROCESS_ENVIRONMENT, HASH_MAP, VARIABLE, VALUE];
    if used.iter().any(|name| classes.initialised(jvm, name).is_none()) {
        return Ok(());
    }
    let object = classes.needed(jvm, HASH_MAP)?.make(jvm)?;
    let map = Map::of(jvm, classes, object)?;
    map.put(b"HOTFORK_REHEARSAL", b"1")?;
    map.remove(b"HOTFORK_REHEARSAL")?;
    drop_local(jvm, object);
    Ok(())
}

/// What `System.getenv` answers from.
pub struct Answers<'a> {
    map: jobject,
    /// `None` for a map that is made otherwise than those of 17, 21 and 25.
    entries: Option<Entries<'a>>,
}

/// `None` where nobody has asked it yet.
pub fn find<'a>(jvm: &Jvm, classes: &'a KnownClasses) -> Result<Option<Answers<'a>>, JavaError> {
    let Some(environment) = classes.initialised(jvm, PROCESS_ENVIRONMENT) else { return Ok(None) };
    let Some(map) = environment.static_object(jvm, "theEnvironment", "Ljava/util/HashMap;")? else { return Ok(None) };
    // SAFETY: this is that map, just found.
    let entries = unsafe { Entries::of(jvm, classes, map) };
    let entries =
        entries.inspect_err(|error| log::warn!("an instance's environment will take Java code: {error}")).ok();
    Ok(Some(Answers { map, entries }))
}

/// `answers` is what `find` has found.
pub fn renew(
    jvm: &Jvm,
    classes: &KnownClasses,
    arguments: &InstanceArgs,
    answers: Option<&Answers<'_>>,
) -> Result<(), JavaError> {
    let old = Variables::current();
    replace(arguments);
    let new = Variables::current();
    let Some(Answers { map, entries }) = answers else { return Ok(()) };
    let mut others = None;
    let mut map = || match &others {
        Some(others) => Ok(*others),
        None => Map::of(jvm, classes, *map).map(|map| *others.insert(map)),
    };
    for (name, _) in old.iter().filter(|(name, _)| new.value_of(name).is_none()) {
        map()?.remove(name)?;
    }
    // Of a name that is there twice the first counts.
    let changed =
        new.iter().filter(|(name, text)| new.value_of(name) == Some(text) && old.value_of(name) != Some(text));
    for (name, text) in changed {
        let set = entries.as_ref().map_or(Ok(false), |entries| entries.set(jvm, name, text))?;
        if !set {
            map()?.put(name, text)?;
        }
    }
    Ok(())
}

/// A map of `ProcessEnvironment`'s variables to its values.
#[derive(Clone, Copy)]
struct Map<'a> {
    jvm: &'a Jvm,
    object: jobject,
    hash_map: java::Class<'a>,
    variable: java::Class<'a>,
    value: java::Class<'a>,
}

impl<'a> Map<'a> {
    fn of(jvm: &'a Jvm, classes: &'a KnownClasses, object: jobject) -> Result<Self, JavaError> {
        let [hash_map, variable, value] =
            [classes.needed(jvm, HASH_MAP)?, classes.needed(jvm, VARIABLE)?, classes.needed(jvm, VALUE)?];
        Ok(Self { jvm, object, hash_map, variable, value })
    }

    fn put(&self, key: &[u8], text: &[u8]) -> Result<(), JavaError> {
        let Self { jvm, object, .. } = *self;
        let key = self.variable_of(key)?;
        let bytes = byte_array(jvm, text)?;
        let signature = "([B)Ljava/lang/ProcessEnvironment$Value;";
        let text = self.value.call_static(jvm, "valueOf", signature, &[jvalue { l: bytes }])?;
        let signature = "(Ljava/lang/Object;Ljava/lang/Object;)Ljava/lang/Object;";
        let former = self.hash_map.call(jvm, object, "put", signature, &[jvalue { l: key }, jvalue { l: text }])?;
        for reference in [former, text, bytes, key] {
            drop_local(jvm, reference);
        }
        Ok(())
    }

    fn remove(&self, key: &[u8]) -> Result<(), JavaError> {
        let Self { jvm, object, .. } = *self;
        let key = self.variable_of(key)?;
        let signature = "(Ljava/lang/Object;)Ljava/lang/Object;";
        let gone = self.hash_map.call(jvm, object, "remove", signature, &[jvalue { l: key }])?;
        drop_local(jvm, gone);
        drop_local(jvm, key);
        Ok(())
    }

    fn variable_of(&self, key: &[u8]) -> Result<jobject, JavaError> {
        let bytes = byte_array(self.jvm, key)?;
        let signature = "([B)Ljava/lang/ProcessEnvironment$Variable;";
        let key = self.variable.call_static(self.jvm, "valueOf", signature, &[jvalue { l: bytes }])?;
        drop_local(self.jvm, bytes);
        Ok(key)
    }
}

/// An environment as libc keeps it: null, or a null-terminated array of C strings.
#[derive(Clone, Copy)]
struct Variables(*mut *mut c_char);

impl Variables {
    fn current() -> Self {
        // SAFETY: only the pointer is read, and nobody changes it now.
        Self(unsafe { environ })
    }

    /// Names and values.
    fn iter(self) -> impl Iterator<Item = (&'static [u8], &'static [u8])> {
        let mut at = self.0;
        std::iter::from_fn(move || {
            // SAFETY: by the contract of this file the array and its strings stay, and nobody changes them now.
            unsafe {
                if at.is_null() || (*at).is_null() {
                    return None;
                }
                let text = CStr::from_ptr(*at).to_bytes();
                at = at.add(1);
                Some(text)
            }
        })
        .filter_map(|text| {
            // A name may begin with '=' but holds none otherwise, as in the JDK's own reading.
            let equals = text.iter().skip(1).position(|&byte| byte == b'=')? + 1;
            Some((&text[..equals], &text[equals + 1..]))
        })
    }

    fn value_of(self, key: &[u8]) -> Option<&'static [u8]> {
        self.iter().find(|(name, _)| *name == key).map(|(_, value)| value)
    }
}

/// Points `environ` at the restorer's strings. The array is leaked: libc may keep it for ever.
fn replace(arguments: &InstanceArgs) {
    let mut pointers = Vec::with_capacity(arguments.environment_count as usize + 1);
    let mut at = arguments.environment;
    for _ in 0..arguments.environment_count {
        pointers.push(at as *mut c_char);
        // SAFETY: the restore laid out `environment_count` NUL-terminated strings here.
        at += unsafe { CStr::from_ptr(at as *const c_char) }.to_bytes_with_nul().len() as u64;
    }
    pointers.push(null_mut());
    // SAFETY: a null-terminated array that lives for ever; no application thread runs.
    unsafe { environ = pointers.leak().as_mut_ptr() };
}
