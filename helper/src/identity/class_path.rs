//! Jars and class directories: what they are now, and whether they are what they were.

use super::files::below;
use super::launcher::ClassSources;
use crate::image::checksum;
use crate::image::manifest::ClassPathEntry;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
#[error("cannot read {} of the class path: {error}", path.display())]
pub struct ClassPathError {
    path: PathBuf,
    error: io::Error,
}

/// All places that classes come from, absolute, wildcards replaced by the jars that they stand for. `root` is the
/// root directory of the process that they are for.
pub fn places(sources: &ClassSources, directory: &Path, root: &Path) -> Vec<PathBuf> {
    let all = sources.jar.iter().chain(&sources.class_path).chain(&sources.module_path).chain(&sources.further);
    let mut places = Vec::new();
    for text in all {
        match text.strip_suffix('*').filter(|rest| rest.is_empty() || rest.ends_with('/')) {
            Some(parent) => places.extend(jars(&directory.join(parent), root)),
            None => places.push(directory.join(text)),
        }
    }
    places
}

/// The jars of a directory in a fixed order; none where it cannot be read, which java does not mind either.
fn jars(directory: &Path, root: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(below(root, directory)).into_iter().flatten().flatten();
    let mut jars: Vec<PathBuf> =
        entries.map(|entry| directory.join(entry.file_name())).filter(|path| is_jar(path)).collect();
    jars.sort();
    jars
}

fn is_jar(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("jar"))
}

/// What one place is now.
pub fn describe(path: &Path, root: &Path) -> Result<ClassPathEntry, ClassPathError> {
    let fail = |error| ClassPathError { path: path.to_path_buf(), error };
    let seen = below(root, path);
    let path = path.to_path_buf();
    let metadata = match fs::metadata(&seen) {
        Ok(metadata) => metadata,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(ClassPathEntry::Missing { path });
        }
        Err(error) => return Err(fail(error)),
    };
    if metadata.is_dir() {
        let (files, newest_mtime) = survey(&seen).map_err(fail)?;
        return Ok(ClassPathEntry::Directory { path, files, newest_mtime });
    }
    let digest = File::open(&seen).and_then(|file| checksum::of_file(&file)).map_err(fail)?;
    Ok(ClassPathEntry::Jar { path, size: metadata.len(), mtime: metadata.mtime(), digest })
}

/// Number and newest whole-second mtime of the classes and jars below a directory. Other files (logs, configuration,
/// images) may change without making it another application.
fn survey(directory: &Path) -> io::Result<(u64, i64)> {
    let (mut files, mut newest) = (0, 0);
    let mut pending = vec![directory.to_path_buf()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            let (kind, path) = (entry.file_type()?, entry.path());
            if kind.is_dir() {
                pending.push(path);
            } else if is_jar(&path) || path.extension().is_some_and(|extension| extension == "class") {
                files += 1;
                newest = newest.max(entry.metadata()?.mtime());
            }
        }
    }
    Ok((files, newest))
}

/// How the place differs from what it was, if it does. A jar is only read where nothing but its time differs.
pub fn difference(was: &ClassPathEntry) -> Result<Option<String>, ClassPathError> {
    let path = match was {
        ClassPathEntry::Jar { path, .. }
        | ClassPathEntry::Directory { path, .. }
        | ClassPathEntry::Missing { path } => path,
    };
    let fail = |error| ClassPathError { path: path.clone(), error };
    let changed = |how: &str| Ok(Some(format!("{} of the class path {how}", path.display())));
    let metadata = match fs::metadata(path) {
        Ok(metadata) => Some(metadata),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => None,
        Err(error) => return Err(fail(error)),
    };
    match (was, metadata) {
        (ClassPathEntry::Missing { .. }, None) => Ok(None),
        (ClassPathEntry::Missing { .. }, Some(_)) => changed("was missing then"),
        (_, None) => changed("is missing"),
        (ClassPathEntry::Jar { size, mtime, digest, .. }, Some(now)) => {
            if !now.is_file() {
                return changed("is no file any more");
            }
            if now.len() != *size {
                return changed(&format!("has {} bytes now, had {size}", now.len()));
            }
            if now.mtime() == *mtime {
                return Ok(None);
            }
            let same = File::open(path).and_then(|file| checksum::of_file(&file)).map_err(fail)? == *digest;
            if same { Ok(None) } else { changed("has other contents now") }
        }
        (ClassPathEntry::Directory { files, newest_mtime, .. }, Some(now)) => {
            if !now.is_dir() {
                return changed("is no directory any more");
            }
            let (count, newest) = survey(path).map_err(fail)?;
            if count != *files {
                changed(&format!("holds {count} classes now, held {files}"))
            } else if newest != *newest_mtime {
                changed("holds a class that changed")
            } else {
                Ok(None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Directory;

    const ROOT: &str = "/";

    fn older(path: &Path) {
        let file = File::options().write(true).open(path).unwrap();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    }

    #[test]
    fn wildcards_stand_for_jars() {
        let directory = Directory::new("wildcard");
        for name in ["b.jar", "a.JAR", "c.txt"] {
            fs::write(directory.path().join(name), b"").unwrap();
        }
        let sources =
            ClassSources { class_path: vec!["*".into(), "x*".into(), "/abs/y.jar".into()], ..ClassSources::default() };
        let expected: Vec<PathBuf> =
            ["a.JAR", "b.jar", "x*", "/abs/y.jar"].iter().map(|name| directory.path().join(name)).collect();
        assert_eq!(places(&sources, directory.path(), Path::new(ROOT)), expected);
    }

    #[test]
    fn a_jar_is_known_by_size_time_and_contents() {
        let directory = Directory::new("jar");
        let jar = directory.path().join("a.jar");
        fs::write(&jar, b"one").unwrap();
        let was = describe(&jar, Path::new(ROOT)).unwrap();
        assert_eq!(difference(&was).unwrap(), None);
        older(&jar);
        assert_eq!(difference(&was).unwrap(), None);
        fs::write(&jar, b"two").unwrap();
        older(&jar);
        assert!(difference(&was).unwrap().unwrap().ends_with("a.jar of the class path has other contents now"));
        fs::write(&jar, b"three").unwrap();
        assert!(difference(&was).unwrap().unwrap().ends_with("has 5 bytes now, had 3"));
        fs::remove_file(&jar).unwrap();
        assert!(difference(&was).unwrap().unwrap().ends_with("is missing"));
        fs::create_dir(&jar).unwrap();
        assert!(difference(&was).unwrap().unwrap().ends_with("is no file any more"));
    }

    #[test]
    fn a_directory_is_known_by_its_classes() {
        let directory = Directory::new("classes");
        let package = directory.path().join("p");
        fs::create_dir(&package).unwrap();
        fs::write(package.join("A.class"), b"").unwrap();
        let was = describe(directory.path(), Path::new(ROOT)).unwrap();
        fs::write(package.join("app.log"), b"").unwrap();
        assert_eq!(difference(&was).unwrap(), None);
        older(&package.join("A.class"));
        assert!(difference(&was).unwrap().unwrap().ends_with("holds a class that changed"));
        fs::write(package.join("B.class"), b"").unwrap();
        assert!(difference(&was).unwrap().unwrap().ends_with("holds 2 classes now, held 1"));
    }

    #[test]
    fn what_was_missing_may_stay_so() {
        let directory = Directory::new("missing");
        let path = directory.path().join("a.jar");
        let was = describe(&path, Path::new(ROOT)).unwrap();
        assert_eq!(was, ClassPathEntry::Missing { path: path.clone() });
        assert_eq!(difference(&was).unwrap(), None);
        fs::write(&path, b"").unwrap();
        assert!(difference(&was).unwrap().unwrap().ends_with("was missing then"));
    }
}
