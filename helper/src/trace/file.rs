//! The file of `--plot`: found writable before the watch begins, written whole or not at all when it ends.

use crate::exit::{ExitCode, Failure};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

#[derive(Debug)]
pub struct PlotFile {
    path: PathBuf,
    temporary: PathBuf,
}

impl PlotFile {
    /// Makes a file in its directory and removes it.
    pub fn new(path: &Path) -> Result<Self, Failure> {
        let absolute = std::path::absolute(path).map_err(|error| unusable(path, &error.to_string()))?;
        let path = match absolute.canonicalize() {
            Ok(there) if there.is_file() => there,
            Ok(there) => return Err(unusable(&there, "it is no regular file")),
            Err(_) => absolute,
        };
        let name = path.file_name().ok_or_else(|| unusable(&path, "that is no name for a file"))?;
        let mut temporary = OsString::from(".");
        temporary.push(name);
        temporary.push(format!(".{}.tmp", std::process::id()));
        let file = Self { temporary: path.with_file_name(temporary), path };
        file.create().and_then(|_| fs::remove_file(&file.temporary)).map_err(|error| file.failed(&error))?;
        Ok(file)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn write(&self, text: &str) -> Result<(), Failure> {
        let written = self.create().and_then(|mut file| {
            let result = file.write_all(text.as_bytes()).and_then(|()| fs::rename(&self.temporary, &self.path));
            if result.is_err() {
                // The first error is the one to tell.
                let _ = fs::remove_file(&self.temporary);
            }
            result
        });
        written.map_err(|error| self.failed(&error))
    }

    fn create(&self) -> io::Result<File> {
        OpenOptions::new().write(true).create_new(true).open(&self.temporary)
    }

    fn failed(&self, error: &io::Error) -> Failure {
        unusable(&self.path, &error.to_string())
    }
}

fn unusable(path: &Path, why: &str) -> Failure {
    let remedy = "name another --plot, or make its directory writable";
    Failure::new(ExitCode::SaveFailed, format!("cannot write the plot {}: {why}; {remedy}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Directory;

    fn names(directory: &Path) -> Vec<OsString> {
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    }

    #[test]
    fn nothing_is_there_before_it_is_written_and_one_file_after() {
        let directory = Directory::new("plot");
        let file = PlotFile::new(&directory.path().join("a.svg")).unwrap();
        assert!(names(directory.path()).is_empty());
        for text in ["one", "two"] {
            file.write(text).unwrap();
            assert_eq!(fs::read_to_string(file.path()).unwrap(), text);
        }
        assert_eq!(names(directory.path()), ["a.svg"]);
    }

    #[test]
    fn what_a_link_leads_to_is_written() {
        let directory = Directory::new("plot-link");
        let (target, link) = (directory.path().join("target"), directory.path().join("link"));
        fs::write(&target, "old").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        PlotFile::new(&link).unwrap().write("new").unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(&target).unwrap(), "new");
    }

    #[test]
    fn a_place_that_cannot_be_written_is_told_at_once() {
        let failure = PlotFile::new(Path::new("/nowhere/a.svg")).unwrap_err();
        assert_eq!(failure.code, ExitCode::SaveFailed);
        let start = "cannot write the plot /nowhere/a.svg: No such file or directory (os error 2); name another --plot";
        assert!(failure.message.starts_with(start), "{failure}");
        for special in ["/dev/null", "/"] {
            let failure = PlotFile::new(Path::new(special)).unwrap_err();
            assert!(failure.message.contains("it is no regular file"), "{failure}");
        }
    }

    #[test]
    fn a_directory_that_went_away_leaves_nothing() {
        let directory = Directory::new("plot-gone");
        let below = directory.path().join("below");
        fs::create_dir(&below).unwrap();
        let file = PlotFile::new(&below.join("a.svg")).unwrap();
        fs::remove_dir(&below).unwrap();
        assert!(file.write("x").unwrap_err().message.contains("cannot write the plot"));
    }
}
