//! The JDKs of this machine: one of each major version that Hotfork knows.

use crate::failure::{During, Outcome, fail};
use crate::process::output;
use crate::target;
use std::path::{Path, PathBuf};
use std::process::Command;

pub const MAJORS: [u32; 3] = [17, 21, 25];

#[derive(Clone, Debug)]
pub struct Jdk {
    pub major: u32,
    /// As `java -version` names it, such as 21.0.8.
    pub version: String,
    pub home: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collector {
    G1,
    Serial,
}

impl Collector {
    pub fn flag(self) -> &'static str {
        match self {
            Self::G1 => "-XX:+UseG1GC",
            Self::Serial => "-XX:+UseSerialGC",
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::G1 => "G1",
            Self::Serial => "Serial",
        }
    }
}

impl Jdk {
    pub fn java(&self) -> PathBuf {
        self.home.join("bin/java")
    }

    /// Its own, or that of any other JDK here: a runtime image may have none, and they understand each other.
    pub fn jcmd(&self) -> Outcome<PathBuf> {
        let homes = std::iter::once(self.home.clone()).chain(candidates()?);
        match homes.map(|home| home.join("bin/jcmd")).find(|jcmd| jcmd.is_file()) {
            Some(jcmd) => Ok(jcmd),
            None => fail("jcmd is missing in every JDK found: install a whole JDK, or set JAVA_HOME to one"),
        }
    }

    /// What a start reads: classes, their archive, the JVM and its libraries.
    pub fn files(&self) -> Outcome<Vec<PathBuf>> {
        let mut files = vec![self.home.join("lib/modules")];
        for directory in [self.home.join("lib"), self.home.join("lib/server")] {
            let what = format!("list {}", directory.display());
            for entry in std::fs::read_dir(&directory).during(&what)? {
                let path = entry.during(&what)?.path();
                if path.extension().is_some_and(|extension| extension == "so" || extension == "jsa") {
                    files.push(path);
                }
            }
        }
        Ok(files)
    }
}

/// Those named (a major version or a home), or one of each major version found; oldest first.
pub fn find(named: &[String]) -> Outcome<Vec<Jdk>> {
    let mut found: Vec<Jdk> = Vec::new();
    let candidates = candidates()?;
    for name in named {
        match name.parse::<u32>() {
            Ok(major) => match candidates.iter().find_map(|home| look(home).filter(|jdk| jdk.major == major)) {
                Some(jdk) => found.push(jdk),
                None => {
                    return fail(format!(
                        "--jdk {major}: not found in JAVA_HOME, PATH, target/jdks or /usr/lib/jvm; name its home"
                    ));
                }
            },
            Err(_) => match look(Path::new(name)) {
                Some(jdk) => found.push(jdk),
                None => {
                    return fail(format!("--jdk {name}: it is no HotSpot JDK 17, 21 or 25 (bin/java -version says)"));
                }
            },
        }
    }
    if named.is_empty() {
        for jdk in candidates.iter().filter_map(|home| look(home)) {
            if !found.iter().any(|other| other.major == jdk.major) {
                found.push(jdk);
            }
        }
    }
    if found.is_empty() {
        return fail("no JDK 17, 21 or 25 in JAVA_HOME, PATH, target/jdks or /usr/lib/jvm: ./x.d/jdks 21 fetches one");
    }
    found.sort_by_key(|jdk| jdk.major);
    Ok(found)
}

fn candidates() -> Outcome<Vec<PathBuf>> {
    let mut homes: Vec<PathBuf> = std::env::var_os("JAVA_HOME").map(PathBuf::from).into_iter().collect();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let launchers = std::env::split_paths(&path).filter_map(|directory| directory.join("java").canonicalize().ok());
    homes.extend(launchers.filter_map(|java| Some(java.parent()?.parent()?.to_path_buf())));
    for directory in [target::directory()?.join("jdks"), PathBuf::from("/usr/lib/jvm")] {
        // A directory that is not there holds no JDK.
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        let mut below: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        below.sort();
        homes.extend(below);
    }
    Ok(homes)
}

fn look(home: &Path) -> Option<Jdk> {
    let home = home.canonicalize().ok()?;
    if !home.join("lib/server/libjvm.so").is_file() {
        return None;
    }
    let properties = output("java", Command::new(home.join("bin/java")).arg("--version")).ok()?;
    let version = parse_version(&properties)?;
    let major = version.split('.').next()?.parse().ok()?;
    MAJORS.contains(&major).then_some(Jdk { major, version, home })
}

/// `openjdk 21.0.8 2025-07-15 LTS` and further lines.
fn parse_version(text: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with("openjdk ") || line.starts_with("java "))?;
    line.split_whitespace().nth(1).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_second_word() {
        let text = "openjdk 21.0.8 2025-07-15 LTS\nOpenJDK Runtime Environment Temurin-21.0.8+9\n";
        assert_eq!(parse_version(text).as_deref(), Some("21.0.8"));
        assert_eq!(
            parse_version("Picked up JAVA_TOOL_OPTIONS: -Xmx1g\nopenjdk 25 2025-09-16\n").as_deref(),
            Some("25")
        );
        assert_eq!(parse_version("something else\n"), None);
    }

    #[test]
    fn a_home_without_a_jdk_is_named() {
        let failure = find(&["/nowhere".into()]).unwrap_err().to_string();
        assert_eq!(failure, "--jdk /nowhere: it is no HotSpot JDK 17, 21 or 25 (bin/java -version says)");
    }
}
