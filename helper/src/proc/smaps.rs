//! /proc/PID/smaps: mappings with what they hold and how the kernel treats them.

use super::maps::{self, Mapping};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DetailedMapping {
    pub mapping: Mapping,
    /// Bytes.
    pub rss: u64,
    pub swap: u64,
    pub hugetlb: u64,
    pub page_size: u64,
    pub flags: VmFlags,
}

impl DetailedMapping {
    /// Whether any page of it may differ from what a fresh mapping would show.
    pub fn holds_pages(&self) -> bool {
        self.rss + self.swap + self.hugetlb > 0
    }
}

/// The flags that an image carries, out of the VmFlags line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VmFlags {
    /// `gd`: grows downwards, a main thread's stack.
    pub grows_down: bool,
    /// `hg`: MADV_HUGEPAGE
    pub huge_page: bool,
    /// `nh`: MADV_NOHUGEPAGE
    pub no_huge_page: bool,
    /// `wf`: MADV_WIPEONFORK
    pub wipe_on_fork: bool,
    /// `dp`: MAP_DROPPABLE
    pub droppable: bool,
    /// `dd`: MADV_DONTDUMP
    pub do_not_dump: bool,
    /// `dc`: MADV_DONTFORK
    pub do_not_fork: bool,
    /// `lo`: mlock(2)
    pub locked: bool,
    /// `ht`: hugetlb pages
    pub hugetlb: bool,
    /// `nr`: MAP_NORESERVE
    pub no_reserve: bool,
    /// `io`, `pf`: memory of a device
    pub device: bool,
}

impl VmFlags {
    fn parse(text: &str) -> Self {
        let mut flags = Self::default();
        for word in text.split_ascii_whitespace() {
            match word {
                "gd" => flags.grows_down = true,
                "hg" => flags.huge_page = true,
                "nh" => flags.no_huge_page = true,
                "wf" => flags.wipe_on_fork = true,
                "dp" => flags.droppable = true,
                "dd" => flags.do_not_dump = true,
                "dc" => flags.do_not_fork = true,
                "lo" => flags.locked = true,
                "ht" => flags.hugetlb = true,
                "nr" => flags.no_reserve = true,
                "io" | "pf" => flags.device = true,
                _ => {}
            }
        }
        flags
    }
}

pub fn parse(text: &[u8]) -> Result<Vec<DetailedMapping>, String> {
    let mut all: Vec<DetailedMapping> = Vec::new();
    for line in text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
        // A field's name ends in a colon; a mapping line has its first colon in the device, a later word.
        let word = line.split(|&byte| byte == b' ').next().unwrap_or(line);
        let Some(name) = word.strip_suffix(b":") else {
            let mapping = maps::parse_line(line)?;
            all.push(DetailedMapping {
                mapping,
                rss: 0,
                swap: 0,
                hugetlb: 0,
                page_size: 4096,
                flags: VmFlags::default(),
            });
            continue;
        };
        let last = all.last_mut().ok_or("a field before the first mapping")?;
        let value = String::from_utf8_lossy(&line[word.len()..]);
        let kilobytes = || -> Result<u64, String> {
            let digits = value.trim().strip_suffix("kB").unwrap_or(&value).trim();
            let number: u64 = digits.parse().map_err(|_| format!("no size: {:?}", String::from_utf8_lossy(line)))?;
            Ok(number * 1024)
        };
        match name {
            b"Rss" => last.rss = kilobytes()?,
            b"Swap" => last.swap = kilobytes()?,
            b"Shared_Hugetlb" | b"Private_Hugetlb" => last.hugetlb += kilobytes()?,
            b"KernelPageSize" => last.page_size = kilobytes()?,
            b"VmFlags" => last.flags = VmFlags::parse(&value),
            _ => {}
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORDED: &[u8] = b"\
7ffd0a3c8000-7ffd0a3e9000 rw-p 00000000 00:00 0                          [stack]
Size:                132 kB
KernelPageSize:        4 kB
Rss:                  28 kB
Swap:                  4 kB
Private_Hugetlb:       0 kB
THPeligible:           0
VmFlags: rd wr mr mw me gd ac 
7f0000000000-7f0000200000 rw-p 00000000 00:0f 99                         /anon_hugepage (deleted)
KernelPageSize:     2048 kB
Rss:                   0 kB
Private_Hugetlb:    2048 kB
VmFlags: rd wr mr mw me de ht wf dd hg dc lo nr nh dp io 
";

    #[test]
    fn recorded_fields() {
        let all = parse(RECORDED).unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].rss, all[0].swap, all[0].page_size), (28 * 1024, 4096, 4096));
        assert_eq!(all[0].flags, VmFlags { grows_down: true, ..VmFlags::default() });
        assert!(all[0].holds_pages() && all[1].holds_pages());
        assert_eq!((all[1].hugetlb, all[1].page_size), (2 << 20, 2 << 20));
        let flags = all[1].flags;
        assert!(flags.hugetlb && flags.wipe_on_fork && flags.do_not_dump && flags.huge_page && flags.do_not_fork);
        assert!(flags.locked && flags.no_reserve && flags.no_huge_page && flags.droppable && flags.device);
    }

    #[test]
    fn a_field_without_a_mapping_is_refused() {
        assert_eq!(parse(b"Rss:  4 kB\n").unwrap_err(), "a field before the first mapping");
    }

    #[test]
    fn a_size_that_is_none_is_named() {
        let text = b"1000-2000 rw-p 00000000 00:00 0 \nRss:   many kB\n";
        assert!(parse(text).unwrap_err().starts_with("no size: "));
    }

    #[test]
    fn own_smaps_agree_with_own_maps() {
        let all = parse(&std::fs::read("/proc/self/smaps").unwrap()).unwrap();
        let stack = all.iter().find(|one| one.mapping.name == b"[stack]").unwrap();
        assert!(stack.flags.grows_down && stack.rss > 0);
    }
}
