//! What a mapped file is known by: path, size, whole-second mtime, and build-id or contents.

use crate::image::checksum;
use crate::image::manifest::MappedFile;
use crate::restore::mapped_files::build_id;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
#[error("cannot read {}: {error}", path.display())]
pub struct FileError {
    pub path: PathBuf,
    pub error: io::Error,
}

/// Describes a file that a process with the root directory `root` has mapped.
pub fn describe(root: &Path, path: &Path) -> Result<MappedFile, FileError> {
    let fail = |error| FileError { path: path.to_path_buf(), error };
    let file = File::open(below(root, path)).map_err(fail)?;
    let metadata = file.metadata().map_err(fail)?;
    let build_id = build_id(&file).map_err(fail)?.unwrap_or_default();
    let digest = if build_id.is_empty() { Some(checksum::of_file(&file).map_err(fail)?) } else { None };
    Ok(MappedFile { path: path.to_path_buf(), size: metadata.size(), mtime: metadata.mtime(), build_id, digest })
}

/// The build-id of an executable, empty when it has none.
pub fn build_id_of(root: &Path, path: &Path) -> Result<String, FileError> {
    let found = File::open(below(root, path)).and_then(|file| build_id(&file));
    Ok(found.map_err(|error| FileError { path: path.to_path_buf(), error })?.unwrap_or_default())
}

/// An absolute path as a process with another root directory (a container's) sees it.
pub fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Directory;

    #[test]
    fn libraries_by_build_id_data_by_contents() {
        let root = Path::new("/");
        let directory = Directory::new("mapped");
        let path = directory.path().join("data");
        std::fs::write(&path, b"data").unwrap();
        let data = describe(root, &path).unwrap();
        assert_eq!((data.size, data.build_id.as_str()), (4, ""));
        assert_eq!(data.digest, Some(*blake3::hash(b"data").as_bytes()));
        let maps = crate::proc::Process(std::process::id() as i32).parse("maps", crate::proc::maps::parse).unwrap();
        let libc =
            maps.iter().filter_map(|mapping| mapping.file()).find(|path| path.to_string_lossy().contains("libc.so"));
        let library = describe(root, libc.expect("tests are linked dynamically")).unwrap();
        assert!(!library.build_id.is_empty() && library.digest.is_none());
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = describe(Path::new("/"), Path::new("/nowhere/lib.so")).unwrap_err().to_string();
        assert!(error.starts_with("cannot read /nowhere/lib.so: No such file"), "{error}");
    }
}
