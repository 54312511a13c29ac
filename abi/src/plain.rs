//! Structures that cross a socket, a file or a process boundary as their own bytes.
//!
//! # Safety contract of this file
//! `unsafe` is used to view a `Plain` value as bytes and back. That is sound because a `Plain` type
//! is `repr(C)`, has no padding, and every bit pattern of its size is a valid value of it.
#![allow(unsafe_code)]

use core::mem::size_of;

/// A type that may be read from and written as raw bytes.
///
/// # Safety
/// The implementer is `repr(C)`, has no padding bytes, and any bit pattern is a valid value.
pub unsafe trait Plain: Sized + 'static {
    fn as_bytes(&self) -> &[u8] {
        // SAFETY: `self` is a live value of `Self`, which has no padding, so all its bytes are initialised.
        unsafe { core::slice::from_raw_parts((&raw const *self).cast::<u8>(), size_of::<Self>()) }
    }

    fn as_bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `as_bytes`; writing any bytes leaves a valid value because every pattern is valid.
        unsafe { core::slice::from_raw_parts_mut((&raw mut *self).cast::<u8>(), size_of::<Self>()) }
    }

    /// The value at the start of `bytes`, or `None` when there are too few of them.
    fn read(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < size_of::<Self>() {
            return None;
        }
        // SAFETY: at least size_of::<Self>() bytes are readable, unaligned reads are asked for, any pattern is valid.
        Some(unsafe { bytes.as_ptr().cast::<Self>().read_unaligned() })
    }

    /// All bits zero.
    fn zeroed() -> Self {
        // SAFETY: every bit pattern is a valid value of a `Plain` type, zero among them.
        unsafe { core::mem::zeroed() }
    }

    /// The bytes of a whole slice of values.
    fn slice_bytes(values: &[Self]) -> &[u8] {
        // SAFETY: a slice of padding-free values is contiguous initialised memory of this very size.
        unsafe { core::slice::from_raw_parts(values.as_ptr().cast::<u8>(), size_of_val(values)) }
    }
}

/// Declares `repr(C)` structures of integers, arrays and other `Plain` types as `Plain`, and checks
/// at compile time that the sum of the field sizes is the size of the whole: no padding.
#[macro_export]
macro_rules! plain_struct {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$fmeta:meta])* pub $field:ident : $ty:ty),* $(,)? }) => {
        $(#[$meta])*
        #[repr(C)]
        #[derive(Clone, Copy)]
        pub struct $name { $($(#[$fmeta])* pub $field : $ty),* }
        const _: () = assert!(
            core::mem::size_of::<$name>() == 0 $(+ core::mem::size_of::<$ty>())*,
            concat!("padding in ", stringify!($name)),
        );
        // SAFETY: repr(C), the assertion above excludes padding, and the macro is used with integers,
        // arrays of them and other `Plain` types only, whose every bit pattern is valid.
        #[allow(unsafe_code)]
        unsafe impl $crate::Plain for $name {}
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    plain_struct! {
        pub struct Pair { pub a: u32, pub b: u32 }
    }

    #[test]
    fn a_value_survives_its_bytes() {
        let pair = Pair { a: 7, b: 0xdead_beef };
        let back = Pair::read(pair.as_bytes()).unwrap();
        assert_eq!((back.a, back.b), (7, 0xdead_beef));
    }

    #[test]
    fn too_few_bytes_are_no_value() {
        assert!(Pair::read(&[0; 7]).is_none());
    }
}
