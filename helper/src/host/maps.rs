//! /proc/PID/maps.

use std::io;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    pub start: u64,
    pub end: u64,
    /// As the kernel writes it: `r-xp`.
    pub permissions: [u8; 4],
    pub inode: u64,
    pub name: String,
}

/// One line of the file.
pub fn parse_line(line: &str) -> Option<Mapping> {
    let mut rest = line;
    let mut field = || {
        rest = rest.trim_start_matches(' ');
        let end = rest.find(' ').unwrap_or(rest.len());
        let (field, behind) = rest.split_at(end);
        rest = behind;
        field
    };
    let (start, end) = field().split_once('-')?;
    let permissions = field().as_bytes().try_into().ok()?;
    let (_offset, _device) = (field(), field());
    let inode = field().parse().ok()?;
    let hexadecimal = |text| u64::from_str_radix(text, 16).ok();
    let (start, end) = (hexadecimal(start)?, hexadecimal(end)?);
    (start < end).then(|| Mapping { start, end, permissions, inode, name: rest.trim_start_matches(' ').to_owned() })
}

/// The mappings of this process, in ascending order.
pub fn own() -> io::Result<Vec<Mapping>> {
    let text = super::kernel::read_with_room("/proc/self/maps", 16384)?;
    text.lines()
        .map(|line| parse_line(line).ok_or_else(|| io::Error::other(format!("a line that is no mapping: {line}"))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_with_spaces_and_none() {
        let mapping = parse_line("7f00-8f00 r-xp 00001000 fe:00 325835                     /a b (deleted)").unwrap();
        assert_eq!((mapping.start, mapping.end, &mapping.permissions), (0x7f00, 0x8f00, b"r-xp"));
        assert_eq!((mapping.inode, mapping.name.as_str()), (325835, "/a b (deleted)"));
        assert_eq!(parse_line("1000-2000 rw-p 00000000 00:00 0 ").unwrap().name, "");
    }

    #[test]
    fn refuses_what_is_no_mapping() {
        for line in ["", "1000", "1000-2000", "2000-1000 rw-p 0 00:00 0", "x-y rw-p 0 00:00 0", "1-2 rw 0 00:00 0"] {
            assert_eq!(parse_line(line), None, "{line:?}");
        }
    }

    #[test]
    fn knows_this_process() {
        let mappings = own().unwrap();
        assert!(mappings.iter().any(|mapping| mapping.name == "[stack]"));
    }
}
