//! HotSpot's counters, read from the file it maps, /tmp/hsperfdata_USER/PID: asking the JVM (jcmd) would make it compile.

use crate::failure::{During, Failure, Outcome};
use std::path::PathBuf;

/// Of the file's prologue (jdk.internal.perf, `PerfDataPrologue`), as every entry in the byte order of the machine.
const MAGIC: [u8; 4] = [0xca, 0xfe, 0xc0, 0xc0];
const ENTRY_OFFSET: usize = 24;
const NUMBER_OF_ENTRIES: usize = 28;
/// Of an entry (`PerfDataEntry`), from its begin.
const NAME_OFFSET: usize = 4;
const VECTOR_LENGTH: usize = 8;
const DATA_TYPE: usize = 12;
const DATA_OFFSET: usize = 16;

/// All counters at one moment.
pub struct Counters(Vec<(String, u64)>);

impl Counters {
    pub fn of(pid: u32) -> Outcome<Self> {
        let path = files(pid).find(|path| path.is_file()).ok_or_else(|| {
            Failure(format!("/tmp/hsperfdata_*/{pid} is missing: was this JVM started with -XX:-UsePerfData?"))
        })?;
        let bytes = std::fs::read(&path).during(format!("read {}", path.display()))?;
        let counters = parse(&bytes);
        counters.map(Self).ok_or_else(|| Failure(format!("{} is not as HotSpot 17 to 25 writes it", path.display())))
    }

    pub fn get(&self, name: &str) -> Outcome<u64> {
        let found = self.0.iter().find(|(other, _)| other == name);
        found.map(|&(_, value)| value).ok_or_else(|| Failure(format!("this JVM has no counter {name}")))
    }

    /// Of all whose name begins and ends so. None is no zero.
    pub fn sum(&self, prefix: &str, suffix: &str) -> Outcome<u64> {
        let mut found = self.0.iter().filter(|(name, _)| name.starts_with(prefix) && name.ends_with(suffix)).peekable();
        if found.peek().is_none() {
            return Err(Failure(format!("this JVM has no counter {prefix}*{suffix}")));
        }
        Ok(found.map(|(_, value)| value).sum())
    }
}

/// Methods compiled so far, counted when each is done.
pub fn compiles(pid: u32) -> Outcome<u64> {
    Counters::of(pid)?.get("sun.ci.totalCompiles")
}

/// Where the counters of a process may lie, whoever its user is.
pub fn files(pid: u32) -> impl Iterator<Item = PathBuf> {
    // Without /tmp there are no counters, which is told where they are missed.
    let entries = std::fs::read_dir("/tmp").into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("hsperfdata_"))
        .map(move |entry| entry.path().join(pid.to_string()))
}

fn parse(bytes: &[u8]) -> Option<Vec<(String, u64)>> {
    if bytes.get(..4)? != MAGIC {
        return None;
    }
    let mut at = number(bytes, ENTRY_OFFSET)?;
    let mut counters = Vec::new();
    for _ in 0..number(bytes, NUMBER_OF_ENTRIES)? {
        let entry = bytes.get(at..at.checked_add(number(bytes, at)?)?)?;
        let name = entry.get(number(entry, NAME_OFFSET)?..)?.split(|&byte| byte == 0).next()?;
        // Texts are vectors.
        if number(entry, VECTOR_LENGTH)? == 0 && *entry.get(DATA_TYPE)? == b'J' {
            let data = entry.get(number(entry, DATA_OFFSET)?..)?.first_chunk()?;
            counters.push((String::from_utf8_lossy(name).into_owned(), u64::from_ne_bytes(*data)));
        }
        at += entry.len();
    }
    Some(counters)
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    bytes.get(at..)?.first_chunk().map(|four| u32::from_ne_bytes(*four) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, vector: u32, value: u64) -> Vec<u8> {
        let data = 20 + name.len() as u32 + 1;
        let data = data.next_multiple_of(8);
        let mut entry: Vec<u8> = [data + 8, 20, vector].iter().flat_map(|word| word.to_ne_bytes()).collect();
        entry.extend([b'J', 0, 1, 2]);
        entry.extend(data.to_ne_bytes());
        entry.extend(name.bytes());
        entry.resize(data as usize, 0);
        entry.extend(value.to_ne_bytes());
        entry
    }

    fn file(entries: &[Vec<u8>]) -> Vec<u8> {
        let mut file = MAGIC.to_vec();
        file.resize(ENTRY_OFFSET, 0);
        file.extend(32u32.to_ne_bytes());
        file.extend((entries.len() as u32).to_ne_bytes());
        file.extend(entries.concat());
        file
    }

    #[test]
    fn counters_are_found_by_name_and_summed() {
        let entries = [
            entry("sun.gc.generation.0.space.0.used", 0, 30),
            entry("java.property", 8, 1),
            entry("sun.gc.generation.1.space.0.used", 0, 12),
            entry("sun.ci.totalCompiles", 0, 777),
        ];
        let counters = Counters(parse(&file(&entries)).unwrap());
        assert_eq!(counters.get("sun.ci.totalCompiles").unwrap(), 777);
        assert_eq!(counters.sum("sun.gc.generation.", ".used").unwrap(), 42);
        let failure = counters.get("java.property").unwrap_err().to_string();
        assert_eq!(failure, "this JVM has no counter java.property");
        assert!(counters.sum("sun.none.", ".used").is_err());
    }

    #[test]
    fn a_damaged_file_is_refused() {
        let good = file(&[entry("sun.ci.totalCompiles", 0, 777)]);
        assert!(parse(&good[..good.len() - 1]).is_none() && parse(&good[1..]).is_none() && parse(&[]).is_none());
    }

    #[test]
    fn a_process_without_counters_is_told() {
        let failure = compiles(std::process::id()).unwrap_err().to_string();
        assert!(failure.ends_with("was this JVM started with -XX:-UsePerfData?"), "{failure}");
    }
}
