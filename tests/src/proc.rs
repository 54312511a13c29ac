//! What the kernel says about a process.

use crate::{During, Outcome};
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;

pub fn command_line(pid: u32) -> Outcome<Vec<String>> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).during(format_args!("command line of {pid}"))?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Ok(text.trim_end_matches('\0').split('\0').map(str::to_string).collect())
}

/// Thread ids and names.
pub fn threads(pid: u32) -> Outcome<BTreeMap<u32, String>> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).during(format_args!("threads of {pid}"))?;
    let mut threads = BTreeMap::new();
    for task in tasks.flatten() {
        let tid = task.file_name().to_string_lossy().parse().during("a thread id")?;
        // One that has ended meanwhile has no name.
        if let Ok(name) = fs::read_to_string(task.path().join("comm")) {
            threads.insert(tid, name.trim_end().to_string());
        }
    }
    Ok(threads)
}

/// Addresses and names of a process's mappings.
pub fn mappings(pid: u32) -> Outcome<Vec<(Range<u64>, String)>> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).during(format_args!("mappings of {pid}"))?;
    let hexadecimal = |text: &str| u64::from_str_radix(text, 16).ok();
    let parse = |line: &str| {
        let (start, end) = line.split_once(' ')?.0.split_once('-')?;
        let name = line.split_ascii_whitespace().nth(5).unwrap_or_default();
        Some((hexadecimal(start)?..hexadecimal(end)?, name.to_string()))
    };
    maps.lines().map(|line| parse(line).ok_or_else(|| format!("{line} is no mapping"))).collect()
}

/// The addresses of the mapping of this name.
pub fn mapping(pid: u32, name: &str) -> Outcome<Range<u64>> {
    let mut mappings = mappings(pid)?.into_iter();
    mappings.find(|mapping| mapping.1 == name).map(|mapping| mapping.0).ok_or_else(|| format!("{pid} has no {name}"))
}

/// A field of /proc/PID/status, such as `Uid`.
pub fn status(pid: u32, field: &str) -> Outcome<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).during(format_args!("status of {pid}"))?;
    text.lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
        .map(|value| value.trim().to_string())
        .ok_or_else(|| format!("/proc/{pid}/status has no {field}"))
}

/// Mappings of which the kernel was told that they may have huge pages.
pub fn with_huge_pages(pid: u32) -> Outcome<usize> {
    let smaps = std::fs::read_to_string(format!("/proc/{pid}/smaps")).during(format_args!("smaps of {pid}"))?;
    let flags = smaps.lines().filter_map(|line| line.strip_prefix("VmFlags:"));
    Ok(flags.filter(|flags| flags.split_whitespace().any(|flag| flag == "hg")).count())
}

/// Whether a signal would reach the program in a process: it is caught, or blocked until it is.
pub fn takes_signal(pid: u32, signal: Signal) -> bool {
    let bit = 1u64 << (signal as i32 - 1);
    ["SigCgt", "SigBlk"].iter().any(|mask| {
        status(pid, mask).is_ok_and(|mask| u64::from_str_radix(&mask, 16).is_ok_and(|mask| mask & bit != 0))
    })
}
