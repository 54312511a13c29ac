//! Reading and writing fields of objects of the JDK's classes.
//!
//! # Safety contract of this file
//! Objects are local references of the renewing thread. Fields were found in the objects' classes (`java`), with the types that are
//! named here.
#![allow(unsafe_code)]

use crate::jvm::{JavaError, Jvm};
use jvmti_bindings::sys::jni;

/// An object's field of type long. The object is a local reference of the thread that found it.
#[derive(Clone, Copy)]
pub struct Long(pub(super) jni::jobject, pub(super) jni::jfieldID);

impl Long {
    pub fn get(self, jvm: &Jvm) -> i64 {
        // SAFETY: the field was found in the object's class, and is a long.
        unsafe { jvm.jni.get_long_field(self.0, self.1) }
    }

    pub fn set(self, jvm: &Jvm, value: i64) {
        // SAFETY: as in `get`.
        unsafe { jvm.jni.set_long_field(self.0, self.1, value) };
    }
}

/// An object's field of type int, as `Long`.
#[derive(Clone, Copy)]
pub struct Int(pub(super) jni::jobject, pub(super) jni::jfieldID);

impl Int {
    pub fn get(self, jvm: &Jvm) -> i32 {
        // SAFETY: the field was found in the object's class, and is an int.
        unsafe { jvm.jni.get_int_field(self.0, self.1) }
    }

    pub fn set(self, jvm: &Jvm, value: i32) {
        // SAFETY: as in `get`.
        unsafe { jvm.jni.set_int_field(self.0, self.1, value) };
    }
}

/// A class's static field that holds an object.
#[derive(Clone, Copy)]
pub struct Reference(pub(super) jni::jclass, pub(super) jni::jfieldID);

impl Reference {
    /// # Safety
    /// `object` is a live reference to an instance of the field's type.
    pub unsafe fn set(self, jvm: &Jvm, object: jni::jobject) {
        // SAFETY: the class is a live global reference in which the field was found; the object is as the caller promises.
        unsafe { jvm.jni.set_static_object_field(self.0, self.1, object) };
    }
}

/// A field of a class's objects that holds an object.
#[derive(Clone, Copy)]
pub struct ObjectField(pub(super) jni::jfieldID);

impl ObjectField {
    /// A local reference, or None for null.
    ///
    /// # Safety
    /// `of` is a live reference to an object of the class in which the field was found.
    pub unsafe fn get(self, jvm: &Jvm, of: jni::jobject) -> Option<jni::jobject> {
        // SAFETY: the caller's promise.
        let object = unsafe { jvm.jni.get_object_field(of, self.0) };
        (!object.is_null()).then_some(object)
    }

    /// # Safety
    /// As for `get`, and `object` is a live reference to an instance of the field's type.
    pub unsafe fn set(self, jvm: &Jvm, of: jni::jobject, object: jni::jobject) {
        // SAFETY: the caller's promise.
        unsafe { jvm.jni.set_object_field(of, self.0, object) };
    }
}

/// Local references to the elements that are not null, one at a time: the caller drops them.
///
/// # Safety
/// `array` is a live reference to an array of objects, as long as the result is used.
pub unsafe fn elements(jvm: &Jvm, array: jni::jobject) -> impl Iterator<Item = jni::jobject> {
    // SAFETY: the caller's promise.
    let length = unsafe { jvm.jni.get_array_length(array) };
    (0..length)
        // SAFETY: the caller's promise; the index is below the length.
        .map(move |index| unsafe { jvm.jni.get_object_array_element(array, index) })
        .filter(|element| !element.is_null())
}

/// The contents of a byte[].
///
/// # Safety
/// `array` is a live reference to a byte[].
pub unsafe fn bytes_of(jvm: &Jvm, array: jni::jobject) -> Vec<u8> {
    // SAFETY: the caller's promise; the region is all of the array, the vector as long. jbyte is i8.
    unsafe {
        let length = jvm.jni.get_array_length(array);
        let mut bytes = vec![0u8; length as usize];
        let env = jvm.jni.raw();
        ((**env).GetByteArrayRegion)(env, array, 0, length, bytes.as_mut_ptr().cast());
        bytes
    }
}

/// A String of ASCII characters.
pub fn string(jvm: &Jvm, ascii: &[u8]) -> Result<jni::jobject, JavaError> {
    let characters: Vec<u16> = ascii.iter().map(|&byte| byte.into()).collect();
    let string = jvm.jni.new_string_utf16(&characters);
    jvm.check("a String")?;
    string.ok_or_else(|| JavaError("no memory for a String".into()))
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
