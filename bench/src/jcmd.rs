//! What is asked of a JVM by jcmd. It makes the JVM compile and load classes: only where that no longer matters.

use crate::failure::{Failure, Outcome};
use crate::jdk::Jdk;
use crate::process::output;
use std::process::Command;

pub fn run(jdk: &Jdk, pid: u32, request: &str) -> Outcome<String> {
    output(&format!("jcmd {pid} {request}"), Command::new(jdk.jcmd()?).arg(pid.to_string()).arg(request))
}

/// Bytes of the code cache in use.
pub fn code_cache_used(jdk: &Jdk, pid: u32) -> Outcome<u64> {
    let text = run(jdk, pid, "Compiler.codecache")?;
    parse_used(&text).ok_or_else(|| Failure(format!("jcmd Compiler.codecache told no used=...Kb: {text:?}")))
}

/// A line for each heap of the code, or one for all: `CodeHeap 'non-nmethods': size=5700Kb used=1400Kb max_used=...`,
/// `CodeCache: size=...`. JDK 25 tells the sum too.
fn parse_used(text: &str) -> Option<u64> {
    let used = |line: &str| -> Option<u64> {
        let word = line.split_whitespace().find_map(|word| word.strip_prefix("used="))?;
        word.trim_end_matches(',').strip_suffix("Kb")?.parse().ok()
    };
    let sum = |begin: &str| -> Option<u64> {
        text.lines().filter(|line| line.starts_with(begin)).map(used).try_fold(0, |sum, used| Some(sum + used?))
    };
    let kilobytes = if text.contains("\nCodeHeap ") { sum("CodeHeap ") } else { sum("CodeCache: ") };
    Some(kilobytes? * 1024).filter(|&bytes| bytes > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heaps_of_the_code_are_summed() {
        let text = "7:\nCodeHeap 'profiled nmethods': size=100Kb used=40Kb max_used=41Kb free=60Kb\n bounds [0x1, 0x2, 0x3]\n\
            CodeHeap 'non-nmethods': size=100Kb used=2Kb max_used=3Kb free=98Kb\n\
            CodeCache: size=200Kb, used=42Kb, max_used=44Kb, free=158Kb\n total_blobs=7, nmethods=3\n";
        assert_eq!(parse_used(text), Some(42 * 1024));
        assert_eq!(parse_used("7:\nCodeCache: size=100Kb used=9Kb max_used=9Kb free=91Kb\n"), Some(9 * 1024));
        assert_eq!(parse_used("nothing\n"), None);
    }
}
