//! The entries of `ProcessEnvironment`'s map, found before the capture. An instance gives one another value by writing fields: to have Java code
//! do it (`HashMap.put`) takes a hundred page faults, or 0.7 ms, for the first one.
//!
//! # Safety contract of this file
//! `map` is a live reference to the HashMap of `ProcessEnvironment`, whose keys are `Variable`s and whose values are `Value`s; it
//! is private to that class, and stays as it is. Classes and signatures are those of JDK 17, 21 and 25.
#![allow(unsafe_code)]

use super::java::{Class, HASH_MAP, KnownClasses, NODE, VALUE, VARIABLE};
use super::objects::{self, ObjectField, bytes_of, drop_local, elements};
use crate::jvm::{JavaError, Jvm};
use jvmti_bindings::sys::jni::jobject;

pub struct Entries<'a> {
    /// Names, and `HashMap.Node`s.
    entries: Vec<(Vec<u8>, jobject)>,
    /// `HashMap.Node.value`
    value_of: ObjectField,
    value: Class<'a>,
    text: ObjectField,
    bytes: ObjectField,
}

impl<'a> Entries<'a> {
    /// References belong to the caller's frame.
    ///
    /// # Safety
    /// See the contract of this file.
    pub unsafe fn of(jvm: &Jvm, classes: &'a KnownClasses, map: jobject) -> Result<Self, JavaError> {
        let (node, variable, value) =
            (classes.needed(jvm, NODE)?, classes.needed(jvm, VARIABLE)?, classes.needed(jvm, VALUE)?);
        let table = classes.needed(jvm, HASH_MAP)?.object(jvm, map, "table", "[Ljava/util/HashMap$Node;")?;
        let key_of = node.object_field(jvm, "key", "Ljava/lang/Object;")?;
        let next_of = node.object_field(jvm, "next", "Ljava/util/HashMap$Node;")?;
        let name_of = variable.object_field(jvm, "bytes", "[B")?;
        let mut entries = Vec::new();
        // SAFETY: the table is an array of nodes, each of which leads to the next one; keys are `Variable`s, whose names are byte arrays.
        unsafe {
            for first in table.into_iter().flat_map(|table| elements(jvm, table)) {
                let mut at = Some(first);
                while let Some(node) = at {
                    let name = key_of.get(jvm, node).and_then(|key| {
                        let bytes = name_of.get(jvm, key);
                        drop_local(jvm, key);
                        bytes
                    });
                    if let Some(name) = name {
                        entries.push((bytes_of(jvm, name), node));
                        drop_local(jvm, name);
                    }
                    at = next_of.get(jvm, node);
                }
            }
        }
        Ok(Self {
            entries,
            value_of: node.object_field(jvm, "value", "Ljava/lang/Object;")?,
            value,
            text: value.object_field(jvm, "str", "Ljava/lang/String;")?,
            bytes: value.object_field(jvm, "bytes", "[B")?,
        })
    }

    /// False where no variable has this name, or its value takes more than ASCII: then the JDK must say what text that is.
    pub fn set(&self, jvm: &Jvm, name: &[u8], text: &[u8]) -> Result<bool, JavaError> {
        let known = self.entries.iter().find(|(known, _)| known == name);
        let Some(&(_, node)) = known.filter(|_| text.is_ascii()) else { return Ok(false) };
        let value = self.value.allocate(jvm)?;
        // SAFETY: a new `Value`, not shared yet, gets what its constructor would give it; the node's value may be any object.
        unsafe {
            self.text.set(jvm, value, objects::string(jvm, text)?);
            self.bytes.set(jvm, value, objects::byte_array(jvm, text)?);
            self.value_of.set(jvm, node, value);
        }
        Ok(true)
    }
}
