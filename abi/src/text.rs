//! Text of bounded length, for structures that must not allocate.

use crate::Plain;

/// Up to `N` bytes of text, NUL-padded. Longer text is cut at a character boundary.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Text<const N: usize> {
    bytes: [u8; N],
}

// SAFETY: repr(C) over one byte array: no padding, and every bit pattern is valid.
#[allow(unsafe_code)]
unsafe impl<const N: usize> Plain for Text<N> {}

impl<const N: usize> Text<N> {
    pub const fn empty() -> Self {
        Self { bytes: [0; N] }
    }

    pub fn new(text: &str) -> Self {
        let mut end = text.len().min(N);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let mut bytes = [0; N];
        bytes[..end].copy_from_slice(&text.as_bytes()[..end]);
        Self { bytes }
    }

    /// Whether `text` is kept whole by [`Text::new`].
    pub const fn fits(text: &str) -> bool {
        text.len() <= N
    }

    /// The text; bytes that are not UTF-8 end it.
    pub fn as_str(&self) -> &str {
        let end = self.bytes.iter().position(|&byte| byte == 0).unwrap_or(N);
        match core::str::from_utf8(&self.bytes[..end]) {
            Ok(text) => text,
            Err(error) => core::str::from_utf8(&self.bytes[..error.valid_up_to()]).unwrap_or(""),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_fits() {
        assert_eq!(Text::<8>::new("abc").as_str(), "abc");
        assert_eq!(Text::<3>::new("abcd").as_str(), "abc");
    }

    #[test]
    fn cuts_between_characters() {
        assert_eq!(Text::<2>::new("aé").as_str(), "a");
    }

    #[test]
    fn stops_at_bytes_that_are_no_text() {
        let text = Text::<4> { bytes: [b'a', 0xff, b'b', 0] };
        assert_eq!(text.as_str(), "a");
    }
}
