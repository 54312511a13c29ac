//! The environment of the restored JVM: that of this command plus `--env`, nothing of the captured one.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// NUL-terminated `KEY=VALUE` strings, and how many there are.
#[derive(Debug, PartialEq, Eq)]
pub struct Block {
    pub bytes: Vec<u8>,
    pub count: u64,
}

/// `own` with each of `further` replacing the variable of its name or added at the end; of two that
/// set the same name the later one wins.
pub fn block(own: impl Iterator<Item = (OsString, OsString)>, further: &[(OsString, OsString)]) -> Block {
    let mut block = Block { bytes: Vec::with_capacity(4096), count: 0 };
    let mut add = |name: &OsStr, value: &OsStr| {
        block.bytes.extend_from_slice(name.as_bytes());
        block.bytes.push(b'=');
        block.bytes.extend_from_slice(value.as_bytes());
        block.bytes.push(0);
        block.count += 1;
    };
    for (name, value) in own {
        if !further.iter().any(|(replaced, _)| *replaced == name) {
            add(&name, &value);
        }
    }
    for (index, (name, value)) in further.iter().enumerate() {
        if !further[index + 1..].iter().any(|(later, _)| later == name) {
            add(name, value);
        }
    }
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(list: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        list.iter().map(|(name, value)| (name.into(), value.into())).collect()
    }

    #[test]
    fn options_replace_and_add() {
        let own = pairs(&[("A", "1"), ("B", "2")]);
        let block = block(own.into_iter(), &pairs(&[("A", "3"), ("C", ""), ("A", "x=y")]));
        assert_eq!(block, Block { bytes: b"B=2\0C=\0A=x=y\0".to_vec(), count: 3 });
    }
}
