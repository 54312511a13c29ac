//! A java command: of a running JVM, or as a user gives it to `run`.

use super::argument_file::{ArgumentFileError, expand, variable_words};
use super::class_path::{self, ClassPathError};
use super::files::{self, FileError};
use super::launcher::{ClassSources, class_sources};
use crate::agent::{is_own_agent, without_own_agent};
use crate::image::manifest::CommandIdentity;
use crate::proc::{ProcError, Process, maps, stat};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// The variables that are part of a command.
const VARIABLES: [&str; 3] = ["JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "CLASSPATH"];

#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error(transparent)]
    Proc(#[from] ProcError),
    #[error(transparent)]
    ArgumentFile(#[from] ArgumentFileError),
    #[error(transparent)]
    ClassPath(#[from] ClassPathError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error("cannot tell the java launcher of process {0}: no mapping holds its code")]
    NoLauncher(i32),
    #[error("cannot tell the current directory: {0}")]
    Directory(io::Error),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Canonical path of the launcher.
    pub java: PathBuf,
    /// Without the launcher, @files expanded, Hotfork's own agent left out.
    pub arguments: Vec<String>,
    pub environment: Vec<(String, String)>,
    pub cwd: PathBuf,
    /// Root directory of the process, from here.
    pub root: PathBuf,
}

impl Command {
    /// `words` are the arguments behind the launcher; `variable` looks the environment up.
    pub fn new(
        java: PathBuf,
        words: &[OsString],
        variable: impl Fn(&str) -> Option<OsString>,
        cwd: PathBuf,
        root: PathBuf,
    ) -> Result<Self, CommandError> {
        let words: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        let mut arguments = expand(&words, &files::below(&root, &cwd))?;
        arguments.retain(|word| !is_own_agent(word.as_bytes()));
        let mut environment = Vec::new();
        for name in VARIABLES {
            let Some(value) = variable(name) else { continue };
            let value = without_own_agent(&value.to_string_lossy());
            if !value.is_empty() {
                environment.push((name.to_owned(), value));
            }
        }
        Ok(Self { java, arguments, environment, cwd, root })
    }

    /// The command that a process was started with. Not from /proc/PID/exe, which in a restored JVM is hotfork.
    pub fn of_process(process: Process, root: &Path) -> Result<Self, CommandError> {
        let code = process.parse("stat", stat::parse)?.start_code;
        let maps = process.parse("maps", maps::parse)?;
        let java = maps
            .iter()
            .find(|mapping| mapping.range().contains(&code))
            .and_then(|mapping| mapping.file())
            .ok_or(CommandError::NoLauncher(process.0))?
            .to_path_buf();
        let words: Vec<OsString> = process.strings("cmdline")?.into_iter().skip(1).map(OsString::from_vec).collect();
        let environment = process.strings("environ")?;
        let variable = |name: &str| {
            let values = environment.iter().filter_map(|entry| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"="));
            values.map(|value| OsStr::from_bytes(value).to_owned()).next()
        };
        let link = process.path("cwd");
        let cwd = std::fs::read_link(&link).map_err(|error| ProcError::Read { path: link, error })?;
        Self::new(java, &words, variable, cwd, root.to_path_buf())
    }

    /// Where its classes come from; JDK_JAVA_OPTIONS stands before the arguments.
    pub fn class_sources(&self) -> Result<ClassSources, CommandError> {
        let variable =
            |name: &str| self.environment.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let mut words = match variable("JDK_JAVA_OPTIONS") {
            Some(value) => expand(&variable_words(value), &files::below(&self.root, &self.cwd))?,
            None => Vec::new(),
        };
        words.extend(self.arguments.iter().cloned());
        Ok(class_sources(&words, variable("CLASSPATH")))
    }

    /// Everything that makes it this command; reads every jar.
    pub fn identity(&self) -> Result<CommandIdentity, CommandError> {
        let places = class_path::places(&self.class_sources()?, &self.cwd, &self.root);
        Ok(CommandIdentity {
            java: self.java.clone(),
            java_build_id: files::build_id_of(&self.root, &self.java)?,
            arguments: self.arguments.clone(),
            environment: self.environment.clone(),
            cwd: self.cwd.clone(),
            class_path: places.iter().map(|place| class_path::describe(place, &self.root)).collect::<Result<_, _>>()?,
        })
    }

    /// The first difference from the command of an image, in words; `None` when it is the same command.
    pub fn difference(&self, image: &CommandIdentity) -> Result<Option<String>, CommandError> {
        if self.java != image.java {
            return Ok(Some(format!("it is for {}, this command is {}", image.java.display(), self.java.display())));
        }
        if files::build_id_of(&self.root, &self.java)? != image.java_build_id {
            return Ok(Some(format!("{} is another build now", self.java.display())));
        }
        for index in 0..self.arguments.len().max(image.arguments.len()) {
            let (then, now) = (image.arguments.get(index), self.arguments.get(index));
            if then != now {
                let shown = |word: Option<&String>| word.map_or("absent".to_owned(), |word| format!("{word:?}"));
                return Ok(Some(format!("argument {} was {}, is {}", index + 1, shown(then), shown(now))));
            }
        }
        for name in VARIABLES {
            let find =
                |all: &[(String, String)]| all.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
            let (then, now) = (find(&image.environment), find(&self.environment));
            if then != now {
                let shown = |value: Option<String>| value.map_or("not set".to_owned(), |value| format!("{value:?}"));
                return Ok(Some(format!("{name} was {}, is {}", shown(then), shown(now))));
            }
        }
        if self.cwd != image.cwd {
            return Ok(Some(format!("its directory was {}, is {}", image.cwd.display(), self.cwd.display())));
        }
        // The same words in the same directory name the same places; wildcards may have more or fewer jars.
        let places = class_path::places(&self.class_sources()?, &self.cwd, &self.root);
        if places.len() != image.class_path.len() {
            return Ok(Some(format!("its class path had {} entries, has {}", image.class_path.len(), places.len())));
        }
        for entry in &image.class_path {
            if let Some(difference) = class_path::difference(entry)? {
                return Ok(Some(difference));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
#[path = "command_tests.rs"]
mod tests;
