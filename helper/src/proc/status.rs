//! /proc/PID/status: the fields that captures ask for.

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// `Z` for a zombie, `T` for a stopped process.
    pub state: char,
    pub parent: i32,
    /// Effective ids.
    pub uid: u32,
    pub gid: u32,
    /// The pid in the innermost pid namespace; the outer one where the kernel does not say.
    pub namespace_pid: i32,
    /// Bit n-1 for signal n.
    pub caught: u64,
    /// Bytes.
    pub rss_anonymous: u64,
    pub swap: u64,
    pub hugetlb: u64,
}

impl Status {
    pub fn catches(&self, signal: i32) -> bool {
        self.caught >> (signal - 1) & 1 == 1
    }
}

pub fn parse(text: &[u8]) -> Result<Status, String> {
    let text = String::from_utf8_lossy(text);
    let mut status = Status::default();
    for line in text.lines() {
        let Some((name, value)) = line.split_once(':') else { continue };
        let fail = || format!("no value: {line:?}");
        let word = |index: usize| value.split_ascii_whitespace().nth(index).ok_or_else(fail);
        let bytes = || word(0)?.parse::<u64>().map(|kilobytes| kilobytes * 1024).map_err(|_| fail());
        match name {
            "State" => status.state = word(0)?.chars().next().ok_or_else(fail)?,
            "Pid" if status.namespace_pid == 0 => status.namespace_pid = word(0)?.parse().map_err(|_| fail())?,
            "PPid" => status.parent = word(0)?.parse().map_err(|_| fail())?,
            "Uid" => status.uid = word(1)?.parse().map_err(|_| fail())?,
            "Gid" => status.gid = word(1)?.parse().map_err(|_| fail())?,
            "NSpid" => {
                let last = value.split_ascii_whitespace().next_back().ok_or_else(fail)?;
                status.namespace_pid = last.parse().map_err(|_| fail())?;
            }
            "SigCgt" => status.caught = u64::from_str_radix(word(0)?, 16).map_err(|_| fail())?,
            "RssAnon" => status.rss_anonymous = bytes()?,
            "VmSwap" => status.swap = bytes()?,
            "HugetlbPages" => status.hugetlb = bytes()?,
            _ => {}
        }
    }
    if status.state == '\0' {
        return Err("no State line".into());
    }
    Ok(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORDED: &str = "Name:\tjava\nState:\tS (sleeping)\nPid:\t4711\nPPid:\t42\nUid:\t1000\t1001\t1000\t1000\n\
Gid:\t100\t101\t100\t100\nNSpid:\t4711\t7\nRssAnon:\t     108 kB\nVmSwap:\t       4 kB\nHugetlbPages:\t    2048 kB\n\
SigCgt:\t2000000101005ccf\n";

    #[test]
    fn recorded_fields() {
        let status = parse(RECORDED.as_bytes()).unwrap();
        assert_eq!((status.state, status.parent, status.namespace_pid), ('S', 42, 7));
        assert_eq!((status.uid, status.gid), (1001, 101));
        assert_eq!((status.rss_anonymous, status.swap, status.hugetlb), (108 << 10, 4 << 10, 2 << 20));
        assert!(status.catches(libc::SIGQUIT) && !status.catches(libc::SIGUSR1));
    }

    #[test]
    fn without_namespaces_the_pid_is_the_pid() {
        assert_eq!(parse(b"State:\tS (sleeping)\nPid:\t9\n").unwrap().namespace_pid, 9);
    }

    #[test]
    fn a_bad_value_is_named() {
        assert_eq!(parse(b"State:\tS\nRssAnon:\tmany kB\n").unwrap_err(), "no value: \"RssAnon:\\tmany kB\"");
        assert_eq!(parse(b"Pid:\t9\n").unwrap_err(), "no State line");
    }
}
