//! The JDKs of this machine: one of each major version that Hotfork knows, with its collectors.

use crate::{During, Outcome, build, skip};
use std::path::{Path, PathBuf};
use std::process::Command;

pub const MAJORS: [u32; 3] = [17, 21, 25];

#[derive(Clone, Debug)]
pub struct Jdk {
    pub major: u32,
    pub home: PathBuf,
    pub collectors: Vec<Collector>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collector {
    Serial,
    Parallel,
    G1,
    Shenandoah,
}

impl Collector {
    pub const ALL: [Self; 4] = [Self::Serial, Self::Parallel, Self::G1, Self::Shenandoah];

    pub fn flag(self) -> &'static str {
        match self {
            Self::Serial => "-XX:+UseSerialGC",
            Self::Parallel => "-XX:+UseParallelGC",
            Self::G1 => "-XX:+UseG1GC",
            Self::Shenandoah => "-XX:+UseShenandoahGC",
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Serial => "serial",
            Self::Parallel => "parallel",
            Self::G1 => "g1",
            Self::Shenandoah => "shenandoah",
        }
    }
}

impl Jdk {
    pub fn java(&self) -> PathBuf {
        self.tool("java")
    }

    pub fn tool(&self, name: &str) -> PathBuf {
        self.home.join("bin").join(name)
    }

    /// Whether this JVM starts with a flag.
    pub fn takes(&self, flag: &str) -> bool {
        let mut java = Command::new(self.java());
        java.args([flag, "-Xmx64m", "-version"]);
        java.output().is_ok_and(|output| output.status.success())
    }

    /// The collectors of `wanted` that it has; others are skipped, loudly.
    fn with_collectors(mut self) -> Self {
        for collector in Collector::ALL {
            if self.takes(collector.flag()) {
                self.collectors.push(collector);
            } else {
                skip::skip(
                    &format!("jdk {} {}", self.major, collector.name()),
                    &format!("{} was built without it; install a build that has it", self.home.display()),
                );
            }
        }
        self
    }
}

/// One JDK of each major version; a missing one is a skip, and with CI=true mostly a failure.
pub fn all() -> Outcome<Vec<Jdk>> {
    let mut found: Vec<Jdk> = Vec::new();
    for home in candidates() {
        let Some(major) = major(&home) else { continue };
        if MAJORS.contains(&major) && !found.iter().any(|jdk| jdk.major == major) {
            found.push(Jdk { major, home, collectors: Vec::new() }.with_collectors());
        }
    }
    for major in MAJORS {
        if !found.iter().any(|jdk| jdk.major == major) {
            let remedy =
                format!("./x.d/jdks {major} fetches it into target/jdks/{major}, or set HOTFORK_TEST_JDKS=HOME");
            if skip::in_ci() && major < 25 {
                return Err(format!("jdk {major} is missing, which CI=true does not forgive: {remedy}"));
            }
            skip::skip(&format!("jdk {major}"), &remedy);
        }
    }
    found.sort_by_key(|jdk| jdk.major);
    if found.is_empty() {
        return Err("there is no JDK 17, 21 or 25 here: ./x.d/jdks 21 fetches one".into());
    }
    Ok(found)
}

/// Homes in order of preference: what the user names comes first.
fn candidates() -> Vec<PathBuf> {
    let mut homes: Vec<PathBuf> =
        std::env::var_os("HOTFORK_TEST_JDKS").map(|list| std::env::split_paths(&list).collect()).unwrap_or_default();
    homes.extend(std::env::var_os("JAVA_HOME").map(PathBuf::from));
    for directory in [build::target().join("jdks"), PathBuf::from("/usr/lib/jvm")] {
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        let mut below: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        below.sort();
        homes.extend(below);
    }
    // A link to the same home would make other command lines, not other JDKs.
    homes.iter().filter_map(|home| home.canonicalize().ok()).filter(|home| home.join("bin/java").is_file()).collect()
}

fn major(home: &Path) -> Option<u32> {
    let output = Command::new(home.join("bin/java")).arg("-version").output().ok()?;
    parse_major(&String::from_utf8_lossy(&output.stderr))
}

/// `openjdk version "17.0.15" 2025-04-15` means 17.
fn parse_major(version: &str) -> Option<u32> {
    let quoted = version.lines().find_map(|line| line.split_once(" version \""))?.1;
    let digits = quoted.find(|c: char| !c.is_ascii_digit())?;
    quoted[..digits].parse().ok()
}

/// Runs a tool of a JDK to its end; its stdout.
pub fn run(jdk: &Jdk, tool: &str, arguments: &[&str]) -> Outcome<String> {
    let output = Command::new(jdk.tool(tool)).args(arguments).output().during(format_args!("start {tool}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    Err(format!("{tool} {arguments:?} ended with {}: {text}{}", output.status, String::from_utf8_lossy(&output.stderr)))
}

#[cfg(test)]
mod tests {
    use super::parse_major;

    #[test]
    fn the_major_is_what_java_says() {
        assert_eq!(parse_major("openjdk version \"17.0.15\" 2025-04-15\nmore"), Some(17));
        assert_eq!(parse_major("Picked up X\nopenjdk version \"25\" 2025-09-16 LTS"), Some(25));
        assert_eq!(parse_major("java: not found"), None);
    }
}
