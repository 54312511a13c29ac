//! The agent library: where it is, and its options.

use crate::cli::CaptureOptions;
use crate::exit::{ExitCode, Failure};
use hotfork_abi::options;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

const LIBRARY: &str = "libhotfork.so";

/// The agent's library: beside this executable, or in `../lib` from there.
pub fn library() -> Result<PathBuf, Failure> {
    let own = std::env::current_exe().map_err(|error| {
        Failure::new(ExitCode::Usage, format!("cannot tell where hotfork lies: {error}; mount /proc"))
    })?;
    library_near(&own)
}

fn library_near(executable: &Path) -> Result<PathBuf, Failure> {
    let directory = executable.parent().unwrap_or(Path::new("/"));
    let places = [directory.join(LIBRARY), directory.join("../lib").join(LIBRARY)];
    match places.iter().find_map(|place| place.canonicalize().ok()) {
        Some(path) => Ok(path),
        None => Err(Failure::new(
            ExitCode::Usage,
            format!("cannot find {LIBRARY} beside {} or in ../lib from there: reinstall Hotfork", executable.display()),
        )),
    }
}

/// An option list for the agent: `key=value`, parted by commas.
#[derive(Default)]
pub struct OptionList(Vec<u8>);

impl OptionList {
    pub fn add(&mut self, key: &str, value: impl AsRef<OsStr>) {
        if !self.0.is_empty() {
            self.0.push(b',');
        }
        self.0.extend_from_slice(key.as_bytes());
        self.0.push(b'=');
        self.0.extend(options::escaped(value.as_ref().as_bytes()));
    }

    pub fn add_capture(&mut self, options: &CaptureOptions, exit: bool) {
        if let Some(mode) = options.mode {
            self.add("mode", format!("{mode:o}"));
        }
        if let Some(limit) = options.max_stop {
            self.add("max-stop", milliseconds(limit));
        }
        for url in &options.trial {
            self.add("trial", url);
        }
        if options.no_quiesce {
            self.add("quiesce", "false");
        }
        for (key, _) in [("quiet", options.quiet), ("exit", exit)].into_iter().filter(|(_, set)| *set) {
            self.add(key, "true");
        }
    }

    pub fn into_os_string(self) -> OsString {
        OsString::from_vec(self.0)
    }
}

pub fn milliseconds(duration: Duration) -> String {
    format!("{}ms", duration.as_millis())
}

/// Whether a word of a command line loads Hotfork's agent.
pub fn is_own_agent(word: &[u8]) -> bool {
    let Some(rest) = word.strip_prefix(b"-agentpath:") else { return false };
    let path = rest.split(|&byte| byte == b'=').next().unwrap_or(rest);
    Path::new(OsStr::from_bytes(path)).file_name().is_some_and(|name| name == LIBRARY)
}

/// An option of Hotfork's agent in a word of a command line.
pub fn option(word: &[u8], key: &str) -> Option<OsString> {
    let (_, list) = word.split_at(word.iter().position(|&byte| byte == b'=')? + 1);
    let value = options::items(list).find_map(|item| item.strip_prefix(key.as_bytes())?.strip_prefix(b"="))?;
    is_own_agent(word).then(|| OsString::from_vec(options::unescaped(value).collect()))
}

/// A variable's options without Hotfork's agent; unchanged where it does not name it.
pub fn without_own_agent(value: &str) -> String {
    if !value.contains(LIBRARY) {
        return value.to_owned();
    }
    value.split_ascii_whitespace().filter(|word| !is_own_agent(word.as_bytes())).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Directory;

    #[test]
    fn the_library_is_beside_or_in_lib() {
        let directory = Directory::new("library");
        let executable = directory.path().join("bin/hotfork");
        std::fs::create_dir(directory.path().join("bin")).unwrap();
        let failure = library_near(&executable).unwrap_err();
        assert_eq!(
            failure.message,
            format!(
                "cannot find libhotfork.so beside {} or in ../lib from there: reinstall Hotfork",
                executable.display()
            )
        );
        std::fs::create_dir(directory.path().join("lib")).unwrap();
        std::fs::write(directory.path().join("lib/libhotfork.so"), b"").unwrap();
        assert!(library_near(&executable).unwrap().ends_with("lib/libhotfork.so"));
        std::fs::write(directory.path().join("bin/libhotfork.so"), b"").unwrap();
        assert!(library_near(&executable).unwrap().ends_with("bin/libhotfork.so"));
    }

    #[test]
    fn an_option_is_found_in_a_command_line() {
        let word = b"-agentpath:/opt/libhotfork.so=image=/a\\,b,control=/run/a=b\\\\c,quiet";
        assert_eq!(option(word, "control").unwrap(), "/run/a=b\\c");
        assert_eq!(option(word, "image").unwrap(), "/a,b");
        assert_eq!(option(word, "when"), None);
        assert_eq!(option(b"-agentpath:/opt/other.so=control=/x", "control"), None);
        assert_eq!(option(b"-Dcontrol=/x", "control"), None);
    }

    #[test]
    fn commas_and_backslashes_are_escaped() {
        let mut list = OptionList::default();
        list.add("image", "/a,b\\c");
        let max_stop = Some(Duration::from_secs(1));
        let options = CaptureOptions { mode: Some(0o640), max_stop, no_quiesce: true, trial: vec![], quiet: true };
        list.add_capture(&options, true);
        assert_eq!(
            list.into_os_string(),
            "image=/a\\,b\\\\c,mode=640,max-stop=1000ms,quiesce=false,quiet=true,exit=true"
        );
    }

    #[test]
    fn the_own_agent_is_known_by_its_name() {
        assert!(is_own_agent(b"-agentpath:/x/libhotfork.so=image=/a"));
        assert!(is_own_agent(b"-agentpath:libhotfork.so"));
        assert!(!is_own_agent(b"-agentpath:/x/libasync.so=libhotfork.so"));
        assert!(!is_own_agent(b"-agentlib:hotfork"));
        assert_eq!(without_own_agent("-Xss1m  -agentpath:/x/libhotfork.so=image=y -Da=b"), "-Xss1m -Da=b");
        assert_eq!(without_own_agent("-Xss1m  -Da=b"), "-Xss1m  -Da=b");
    }
}
