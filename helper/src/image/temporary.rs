//! The file that an image is written into, beside its final place: `.NAME.PID.tmp`.
//!
//! Whoever writes one holds an flock on it, so that a second saver of the same image sees the first, and
//! tells a file that is being written from one that a dead process left.

use crate::exit::{ExitCode, Failure};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::stat::{Mode, fchmod};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The default mode: an image holds every secret that the JVM knew.
pub const DEFAULT_MODE: u32 = 0o600;

pub struct Temporary {
    file: Flock<File>,
    path: PathBuf,
    image: PathBuf,
    directory: PathBuf,
    committed: bool,
}

impl Temporary {
    /// Makes the file for `image`, an absolute path, and removes what dead savers left.
    pub fn create(image: &Path, mode: u32) -> Result<Self, Failure> {
        let failed = |what: &str, path: &Path, error: io::Error| {
            let remedy = "name another --image, or make the directory writable";
            Failure::new(ExitCode::SaveFailed, format!("cannot {what} {}: {error}; {remedy}", path.display()))
        };
        let (Some(directory), Some(name)) = (image.parent(), image.file_name()) else {
            return Err(Failure::new(ExitCode::Usage, format!("{} is no name for an image file", image.display())));
        };
        if image.is_dir() {
            return Err(Failure::new(
                ExitCode::Usage,
                format!("{} is a directory; name a file in it", image.display()),
            ));
        }
        let open = File::open(directory).map_err(|error| failed("open the directory", directory, error))?;
        // Held for the next few steps only: of two savers that start together one comes first.
        let turn = Flock::lock(open, FlockArg::LockExclusive)
            .map_err(|(_, errno)| failed("lock the directory", directory, errno.into()))?;
        clear_leftovers(directory, name, image)?;
        let path = directory.join(temporary_name(name, std::process::id()));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&path)
            .map_err(|error| failed("create", &path, error))?;
        let file = Flock::lock(file, FlockArg::LockExclusiveNonblock)
            .map_err(|(_, errno)| failed("lock", &path, errno.into()))?;
        drop(turn);
        let temporary =
            Self { file, image: image.to_path_buf(), directory: directory.to_path_buf(), committed: false, path };
        fchmod(&*temporary.file, Mode::from_bits_truncate(mode))
            .map_err(|errno| failed("set the mode of", &temporary.path, errno.into()))?;
        Ok(temporary)
    }

    pub fn file(&self) -> &File {
        &self.file
    }

    /// Where it lies until it is committed.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn image(&self) -> &Path {
        &self.image
    }

    /// Bytes that an ordinary user may still write to this file system.
    pub fn room(&self) -> io::Result<u64> {
        let statistics = nix::sys::statvfs::fstatvfs(&*self.file)?;
        Ok(statistics.blocks_available() * statistics.fragment_size())
    }

    /// Syncs the file and gives it its final name, then syncs the directory.
    pub fn commit(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, &self.image)?;
        self.committed = true;
        File::open(&self.directory)?.sync_all()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if self.committed {
            return;
        }
        if let Err(error) = fs::remove_file(&self.path) {
            log::warn!("cannot remove {}: {error}", self.path.display());
        }
    }
}

fn temporary_name(image: &OsStr, pid: u32) -> OsString {
    let mut name = OsString::from(".");
    name.push(image);
    name.push(format!(".{pid}.tmp"));
    name
}

/// Whether `entry` is a name that some saver of `image` gave.
fn is_temporary_of(entry: &OsStr, image: &OsStr) -> bool {
    let pid = entry
        .as_bytes()
        .strip_prefix(b".")
        .and_then(|rest| rest.strip_prefix(image.as_bytes()))
        .and_then(|rest| rest.strip_prefix(b"."))
        .and_then(|rest| rest.strip_suffix(b".tmp"));
    pid.is_some_and(|pid| !pid.is_empty() && pid.iter().all(u8::is_ascii_digit))
}

fn clear_leftovers(directory: &Path, name: &OsStr, image: &Path) -> Result<(), Failure> {
    let failed = |path: &Path, error: io::Error| {
        let remedy = "remove it";
        Failure::new(
            ExitCode::SaveFailed,
            format!("cannot tell whether {} is in use: {error}; {remedy}", path.display()),
        )
    };
    for entry in fs::read_dir(directory).map_err(|error| failed(directory, error))? {
        let entry = entry.map_err(|error| failed(directory, error))?;
        if !is_temporary_of(&entry.file_name(), name) {
            continue;
        }
        let path = entry.path();
        let file = match OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(failed(&path, error)),
        };
        let metadata = file.metadata().map_err(|error| failed(&path, error))?;
        if !metadata.is_file() || metadata.uid() != nix::unistd::geteuid().as_raw() {
            return Err(failed(&path, io::Error::other("it is not a file of this user's")));
        }
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(_) => fs::remove_file(&path).map_err(|error| failed(&path, error))?,
            Err((_, Errno::EWOULDBLOCK)) => {
                let why = format!("another capture is writing {} now; wait for it", image.display());
                return Err(Failure::new(ExitCode::Refused, why));
            }
            Err((_, errno)) => return Err(failed(&path, errno.into())),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Directory;
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_dropped_file_leaves_nothing() {
        let directory = Directory::new("dropped");
        drop(Temporary::create(&directory.path().join("image"), DEFAULT_MODE).unwrap());
        assert_eq!(names(directory.path()), Vec::<String>::new());
    }

    #[test]
    fn a_committed_file_has_its_name_and_mode() {
        let directory = Directory::new("committed");
        let image = directory.path().join("image");
        let temporary = Temporary::create(&image, 0o640).unwrap();
        assert!(temporary.room().unwrap() > 0);
        temporary.file().write_all(b"x").unwrap();
        temporary.commit().unwrap();
        assert_eq!(names(directory.path()), ["image"]);
        assert_eq!(fs::metadata(&image).unwrap().permissions().mode() & 0o7777, 0o640);
    }

    #[test]
    fn the_second_of_two_savers_is_refused() {
        let directory = Directory::new("second");
        let image = directory.path().join("image");
        let first = Temporary::create(&image, DEFAULT_MODE).unwrap();
        let failure = Temporary::create(&image, DEFAULT_MODE).err().unwrap();
        assert_eq!(failure.code, ExitCode::Refused);
        assert_eq!(failure.message, format!("another capture is writing {} now; wait for it", image.display()));
        let other = Temporary::create(&directory.path().join("image.2"), DEFAULT_MODE).unwrap();
        drop((first, other));
    }

    #[test]
    fn leftovers_go_and_other_files_stay() {
        let directory = Directory::new("leftovers");
        for name in [".image.99.tmp", ".image.2.99.tmp", ".image.x.tmp", "image.99.tmp"] {
            fs::write(directory.path().join(name), b"").unwrap();
        }
        drop(Temporary::create(&directory.path().join("image"), DEFAULT_MODE).unwrap());
        assert_eq!(names(directory.path()), [".image.2.99.tmp", ".image.x.tmp", "image.99.tmp"]);
    }

    #[test]
    fn a_leftover_that_is_no_file_is_named() {
        let directory = Directory::new("strange");
        fs::create_dir(directory.path().join(".image.99.tmp")).unwrap();
        let failure = Temporary::create(&directory.path().join("image"), DEFAULT_MODE).err().unwrap();
        assert!(
            failure.message.ends_with(".image.99.tmp is in use: it is not a file of this user's; remove it"),
            "{failure}"
        );
    }

    #[test]
    fn a_missing_directory_is_named() {
        let failure = Temporary::create(Path::new("/nowhere/image"), DEFAULT_MODE).err().unwrap();
        assert_eq!(failure.code, ExitCode::SaveFailed);
        let start = "cannot open the directory /nowhere: No such file or directory (os error 2); name another --image";
        assert!(failure.message.starts_with(start), "{failure}");
    }

    #[test]
    fn a_directory_is_no_image() {
        let directory = Directory::new("directory");
        let failure = Temporary::create(directory.path(), DEFAULT_MODE).err().unwrap();
        assert_eq!(failure.code, ExitCode::Usage);
        assert!(failure.message.ends_with("is a directory; name a file in it"));
    }
}
