//! The environment: `System.getenv` (a map that the JDK made once) and libc's `environ`.
//!
//! # Safety contract of this file
//! The new variables lie in memory that the restore mapped for good, the old ones in the image's. `environ` is
//! swapped while no application thread runs.
//!
//! Nothing is allocated for what has not changed: an allocation writes to pages that instances share.
#![allow(unsafe_code)]

use super::java::{self, HASH_MAP, KnownClasses, PROCESS_ENVIRONMENT, VALUE, VARIABLE};
use crate::jvm::{JavaError, Jvm};
use hotfork_abi::restore::InstanceArgs;
use jvmti_bindings::sys::jni::jvalue;
use std::ffi::{CStr, c_char};
use std::ptr::null_mut;

unsafe extern "C" {
    static mut environ: *mut *mut c_char;
}

pub fn renew(jvm: &Jvm, classes: &KnownClasses, arguments: &InstanceArgs) -> Result<(), JavaError> {
    let old = Variables::current();
    replace(arguments);
    let new = Variables::current();
    let Some(environment) = classes.initialised(jvm, PROCESS_ENVIRONMENT) else { return Ok(()) };
    let Some(map) = environment.static_object(jvm, "theEnvironment", "Ljava/util/HashMap;")? else { return Ok(()) };
    let (hash_map, variable, value) =
        (classes.needed(jvm, HASH_MAP)?, classes.needed(jvm, VARIABLE)?, classes.needed(jvm, VALUE)?);
    for (key, _) in old.iter().filter(|(key, _)| new.value_of(key).is_none()) {
        let key = variable_of(jvm, variable, key)?;
        let gone = hash_map.call(jvm, map, "remove", "(Ljava/lang/Object;)Ljava/lang/Object;", &[jvalue { l: key }])?;
        java::drop_local(jvm, gone);
        java::drop_local(jvm, key);
    }
    // Of a name that is there twice the first counts.
    for (key, text) in
        new.iter().filter(|(key, text)| new.value_of(key) == Some(text) && old.value_of(key) != Some(text))
    {
        let key = variable_of(jvm, variable, key)?;
        let bytes = java::byte_array(jvm, text)?;
        let text =
            value.call_static(jvm, "valueOf", "([B)Ljava/lang/ProcessEnvironment$Value;", &[jvalue { l: bytes }])?;
        let signature = "(Ljava/lang/Object;Ljava/lang/Object;)Ljava/lang/Object;";
        let former = hash_map.call(jvm, map, "put", signature, &[jvalue { l: key }, jvalue { l: text }])?;
        for reference in [former, text, bytes, key] {
            java::drop_local(jvm, reference);
        }
    }
    Ok(())
}

fn variable_of(jvm: &Jvm, class: java::Class<'_>, key: &[u8]) -> Result<jvmti_bindings::sys::jni::jobject, JavaError> {
    let bytes = java::byte_array(jvm, key)?;
    let key =
        class.call_static(jvm, "valueOf", "([B)Ljava/lang/ProcessEnvironment$Variable;", &[jvalue { l: bytes }])?;
    java::drop_local(jvm, bytes);
    Ok(key)
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
    unsafe { environ = Box::leak(pointers.into_boxed_slice()).as_mut_ptr() };
}
