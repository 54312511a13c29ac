//! /proc/PID/auxv: the auxiliary vector, pairs of words.

/// The words of a byte area, native order; a cut one at the end is dropped.
pub fn words(bytes: &[u8]) -> impl Iterator<Item = u64> + '_ {
    bytes.chunks_exact(8).map(|word| word.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte)))
}

/// The value of an entry (AT_*), if it is there.
pub fn value(auxv: &[u8], key: u64) -> Option<u64> {
    let mut words = words(auxv);
    loop {
        let (entry, value) = (words.next()?, words.next()?);
        match entry {
            libc::AT_NULL => return None,
            entry if entry == key => return Some(value),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_stands_before_the_end() {
        let words = [libc::AT_PAGESZ, 4096, libc::AT_NULL, 0, libc::AT_UID, 7];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        assert_eq!(value(&bytes, libc::AT_PAGESZ), Some(4096));
        assert_eq!(value(&bytes, libc::AT_UID), None);
        assert_eq!(value(&bytes[..12], libc::AT_PAGESZ), None);
    }

    #[test]
    fn words_are_little_endian() {
        assert_eq!(words(&[1, 2, 0, 0, 0, 0, 0, 0, 9]).collect::<Vec<_>>(), [0x201]);
    }
}
