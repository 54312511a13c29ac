//! The environment: `System.getenv` (a map that the JDK made once) and libc's `environ`.
//!
//! # Safety contract of this file
//! The new variables lie in memory that the restore mapped for good. `environ` is swapped while no
//! application thread runs.
#![allow(unsafe_code)]

use super::java::{self, HASH_MAP, KnownClasses, PROCESS_ENVIRONMENT, VALUE, VARIABLE};
use crate::jvm::{JavaError, Jvm};
use hotfork_abi::restore::InstanceArgs;
use jvmti_bindings::sys::jni::jvalue;
use std::collections::BTreeMap;
use std::ffi::{CStr, c_char};
use std::ptr::null_mut;

unsafe extern "C" {
    static mut environ: *mut *mut c_char;
}

pub fn renew(jvm: &Jvm, classes: &KnownClasses, arguments: &InstanceArgs) -> Result<(), JavaError> {
    let old = current();
    replace(arguments);
    let new = current();
    let Some(environment) = classes.initialised(jvm, PROCESS_ENVIRONMENT) else { return Ok(()) };
    let Some(map) = environment.static_object(jvm, "theEnvironment", "Ljava/util/HashMap;")? else { return Ok(()) };
    let (hash_map, variable, value) =
        (classes.needed(jvm, HASH_MAP)?, classes.needed(jvm, VARIABLE)?, classes.needed(jvm, VALUE)?);
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        let key = variable_of(jvm, variable, key)?;
        let gone = hash_map.call(jvm, map, "remove", "(Ljava/lang/Object;)Ljava/lang/Object;", &[jvalue { l: key }])?;
        java::drop_local(jvm, gone);
        java::drop_local(jvm, key);
    }
    for (key, text) in new.iter().filter(|(key, text)| old.get(*key) != Some(text)) {
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

fn variable_of(jvm: &Jvm, class: java::Class, key: &[u8]) -> Result<jvmti_bindings::sys::jni::jobject, JavaError> {
    let bytes = java::byte_array(jvm, key)?;
    let key =
        class.call_static(jvm, "valueOf", "([B)Ljava/lang/ProcessEnvironment$Variable;", &[jvalue { l: bytes }])?;
    java::drop_local(jvm, bytes);
    Ok(key)
}

/// libc's environment as it is now.
fn current() -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut variables = BTreeMap::new();
    // SAFETY: `environ` is null or a null-terminated array of C strings, and nobody changes it now.
    unsafe {
        let mut at = environ;
        while !at.is_null() && !(*at).is_null() {
            let text = CStr::from_ptr(*at).to_bytes();
            // A name may begin with '=' but holds none otherwise, as in the JDK's own reading.
            if let Some(equals) = text.iter().skip(1).position(|&byte| byte == b'=') {
                let (key, value) = text.split_at(equals + 1);
                variables.entry(key.to_vec()).or_insert_with(|| value[1..].to_vec());
            }
            at = at.add(1);
        }
    }
    variables
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
