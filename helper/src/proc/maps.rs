//! /proc/PID/maps: the mappings of a process.

use std::ffi::OsStr;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// One line of maps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    pub start: u64,
    pub end: u64,
    pub read: bool,
    pub write: bool,
    pub execute: bool,
    pub shared: bool,
    pub offset: u64,
    pub inode: u64,
    /// What stands behind the inode: a path, `[heap]`, or nothing. Newlines of a path are unescaped.
    pub name: Vec<u8>,
    /// The name ended in ` (deleted)`.
    pub deleted: bool,
}

impl Mapping {
    pub fn length(&self) -> u64 {
        self.end - self.start
    }

    pub fn range(&self) -> Range<u64> {
        self.start..self.end
    }

    /// PROT_* bits.
    pub fn protection(&self) -> u32 {
        let bit = |set: bool, value: i32| if set { value as u32 } else { 0 };
        bit(self.read, libc::PROT_READ) | bit(self.write, libc::PROT_WRITE) | bit(self.execute, libc::PROT_EXEC)
    }

    /// The path of the file behind it, whether or not that still exists. Memory that only looks like
    /// a file (memfd, SysV segments, /dev/zero, hugetlb) is none.
    pub fn file(&self) -> Option<&Path> {
        let looks = [&b"/memfd:"[..], b"/SYSV", b"/dev/zero", b"/anon_hugepage"];
        (self.name.starts_with(b"/") && !looks.iter().any(|prefix| self.name.starts_with(prefix)))
            .then(|| Path::new(OsStr::from_bytes(&self.name)))
    }

    /// Private memory with no file of any kind behind it.
    pub fn is_anonymous(&self) -> bool {
        let plain = self.inode == 0 || self.name == b"/anon_hugepage" || self.name == b"/dev/zero";
        !self.shared && plain
    }

    pub fn is_hsperfdata(&self) -> bool {
        self.file()
            .and_then(Path::parent)
            .and_then(Path::file_name)
            .is_some_and(|directory| directory.as_bytes().starts_with(b"hsperfdata_"))
    }

    /// The name for messages.
    pub fn label(&self) -> String {
        if self.name.is_empty() { "anonymous memory".into() } else { String::from_utf8_lossy(&self.name).into_owned() }
    }
}

pub fn parse(text: &[u8]) -> Result<Vec<Mapping>, String> {
    text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).map(parse_line).collect()
}

pub fn parse_line(line: &[u8]) -> Result<Mapping, String> {
    let fail = || format!("no mapping: {:?}", String::from_utf8_lossy(line));
    let mut rest = line;
    let mut field = || {
        let end = rest.iter().position(|&byte| byte == b' ').unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        rest = after.strip_prefix(b" ").unwrap_or(after);
        std::str::from_utf8(word).ok().filter(|word| !word.is_empty())
    };
    let (range, mode, offset) = (field().ok_or_else(fail)?, field().ok_or_else(fail)?, field().ok_or_else(fail)?);
    let (device, inode) = (field().ok_or_else(fail)?, field().ok_or_else(fail)?);
    let (start, end) = range.split_once('-').ok_or_else(fail)?;
    let hex = |digits: &str| u64::from_str_radix(digits, 16).map_err(|_| fail());
    let (start, end) = (hex(start)?, hex(end)?);
    let mode = mode.as_bytes();
    if mode.len() != 4 || start >= end || !device.contains(':') {
        return Err(fail());
    }
    let name = unescape(rest.trim_ascii_start());
    let (name, deleted) = match name.strip_suffix(b" (deleted)") {
        Some(kept) => (kept.to_vec(), true),
        None => (name, false),
    };
    Ok(Mapping {
        start,
        end,
        read: mode[0] == b'r',
        write: mode[1] == b'w',
        execute: mode[2] == b'x',
        shared: mode[3] == b's',
        offset: hex(offset)?,
        inode: inode.parse().map_err(|_| fail())?,
        name,
        deleted,
    })
}

/// The kernel writes a newline in a path as `\012`, and nothing else that way.
fn unescape(name: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((&first, after)) = rest.split_first() {
        if let Some(after) = rest.strip_prefix(b"\\012") {
            plain.push(b'\n');
            rest = after;
        } else {
            plain.push(first);
            rest = after;
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORDED: &[u8] = b"\
5639bb2cb000-5639bb2cd000 r--p 00000000 fe:00 247766                     /usr/bin/sleep
5639e4ea7000-5639e4ec8000 rw-p 00000000 00:00 0                          [heap]
7f1a03758000-7f1a0375b000 rw-p 00000000 00:00 0 
7f98d74f6000-7f98d74fe000 rw-s 00000000 fe:00 9986053                    /tmp/hsperfdata_root/18422
7fc2a1824000-7fc2a1828000 rw-p 00117000 00:01 1024                       /memfd:code cache (deleted)
7fc2a1828000-7fc2a1829000 r-xp 00001000 fe:00 77                         /tmp/lib\\012x.so (deleted)
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
";

    #[test]
    fn recorded_lines() {
        let maps = parse(RECORDED).unwrap();
        assert_eq!(maps.len(), 7);
        assert_eq!(maps[0].file().unwrap(), Path::new("/usr/bin/sleep"));
        assert_eq!((maps[0].start, maps[0].length(), maps[0].inode), (0x5639bb2cb000, 0x2000, 247766));
        assert_eq!(maps[0].protection(), libc::PROT_READ as u32);
        assert!(maps[1].is_anonymous() && maps[1].name == b"[heap]");
        assert!(maps[2].is_anonymous() && maps[2].name.is_empty());
        assert!(maps[3].shared && maps[3].is_hsperfdata());
        assert!(maps[4].deleted && maps[4].file().is_none() && !maps[4].is_anonymous());
        assert_eq!(maps[4].name, b"/memfd:code cache");
        assert!(maps[5].deleted && maps[5].name == b"/tmp/lib\nx.so" && maps[5].offset == 0x1000);
        assert_eq!(maps[6].protection(), libc::PROT_EXEC as u32);
    }

    #[test]
    fn a_cut_line_is_named() {
        for line in
            ["7f98d74f6000-7f98d74fe000 rw-s", "x-y r--p 0 0:0 0", "2000-1000 r--p 0 0:0 0", "1000-2000 r-p 0 0:0 0"]
        {
            let error = parse(line.as_bytes()).unwrap_err();
            assert!(error.starts_with("no mapping: ") && error.contains(line), "{error}");
        }
    }

    #[test]
    fn own_maps_are_understood() {
        let maps = parse(&std::fs::read("/proc/self/maps").unwrap()).unwrap();
        assert!(maps.iter().any(|mapping| mapping.name == b"[stack]"));
    }
}
