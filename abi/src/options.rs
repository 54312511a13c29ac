//! The agent's option list as bytes: `key=value`, parted by commas; `\,` stands for a comma, `\\` for a backslash.

/// The items of a list, each with its escapes.
pub fn items(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut escaped = false;
    list.split(move |&byte| {
        let parts = byte == b',' && !escaped;
        escaped = byte == b'\\' && !escaped;
        parts
    })
}

/// What an item, or a part of it, stands for.
pub fn unescaped(item: &[u8]) -> impl Iterator<Item = u8> {
    let mut escaped = false;
    item.iter().copied().filter(move |&byte| {
        escaped = byte == b'\\' && !escaped;
        !escaped
    })
}

/// A value as it must stand in a list.
pub fn escaped(value: &[u8]) -> impl Iterator<Item = u8> {
    value.iter().flat_map(|&byte| {
        let escape = matches!(byte, b',' | b'\\').then_some(b'\\');
        escape.into_iter().chain([byte])
    })
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    #[test]
    fn what_is_escaped_comes_back() {
        let value = b"/a,b\\,c\\\\d,";
        let mut list: Vec<u8> = b"image=".to_vec();
        list.extend(escaped(value));
        list.extend(b",quiet");
        let read: Vec<Vec<u8>> = items(&list).map(|item| unescaped(item).collect()).collect();
        assert_eq!(read, [[b"image=".as_slice(), value].concat(), b"quiet".to_vec()]);
    }

    #[test]
    fn an_escape_at_the_end_stands_for_nothing() {
        assert!(unescaped(b"a\\").eq(*b"a"));
        assert_eq!(items(b"").count(), 1);
    }
}
