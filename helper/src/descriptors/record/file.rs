//! Files with a path: which are opened again, which go into the image, which are refused.

use super::contents::COPY_AT_MOST;
use super::failed;
use super::refusal::Refusal;
use super::seen::Seen;
use crate::descriptors::class::Class;
use crate::exit::Failure;
use nix::sys::stat::{major, minor, stat};
use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Names of the memfds that hold carried files of an instance begin with this, so that a second
/// capture knows them.
pub const CARRIED_NAME: &str = "hotfork:";

/// (major, minor) of the devices in /dev that keep no state.
const DEVICES: &[(u64, u64)] = &[(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0)];

/// Directories that matter.
pub struct Places {
    pub pid: i32,
    pub cwd: PathBuf,
    pub temporary: Vec<PathBuf>,
    /// Jars that the command names.
    pub class_path: Vec<PathBuf>,
}

impl Places {
    pub fn of(pid: i32, temporary: Vec<PathBuf>) -> Result<Self, Failure> {
        let link = format!("/proc/{pid}/cwd");
        let cwd = std::fs::read_link(&link).map_err(|error| failed(&link, error))?;
        let environ = format!("/proc/{pid}/environ");
        let environment = std::fs::read(&environ).map_err(|error| failed(&environ, error))?;
        let variable = environment.split(|byte| *byte == 0).find_map(|entry| entry.strip_prefix(b"TMPDIR="));
        let named = variable.map(|path| PathBuf::from(OsStr::from_bytes(path)));
        let all = temporary.into_iter().chain(named).chain([PathBuf::from("/tmp")]);
        // Links in /proc have no symbolic links in them. A directory that does not exist holds no open file.
        let mut temporary: Vec<_> = all.filter_map(|path| cwd.join(path).canonicalize().ok()).collect();
        temporary.retain(|path| path.parent().is_some());
        Ok(Self { pid, cwd, temporary, class_path: Vec::new() })
    }

    /// A Java runtime that lies there is no temporary file, nor is a jar that the command names: they are compared with the
    /// image as they are. (To carry a Spring service's jar costs each restore a tenth of a second and more.)
    fn is_temporary(&self, path: &Path) -> bool {
        let of_runtime = |path: &Path| path.ancestors().any(|home| home.join("lib/server/libjvm.so").exists());
        let of_command = self.class_path.iter().any(|jar| jar == path);
        self.temporary.iter().any(|directory| path.starts_with(directory)) && !of_command && !of_runtime(path)
    }
}

#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    Regular(PathBuf),
    /// `copy`: the JVM may go on writing to it, so it is read while the JVM is frozen.
    Carried {
        path: PathBuf,
        copy: bool,
    },
    Directory(PathBuf),
    Device(PathBuf),
    PerfData,
}

pub fn judge(seen: &Seen, places: &Places) -> Result<Verdict, Refusal> {
    if is_perf_data(seen) {
        return Ok(Verdict::PerfData);
    }
    let name = seen.link.display();
    if let Some(lock) = seen.info.locks.first() {
        let what = format!("{name} with a {} {} lock", lock.kind, lock.access);
        return Err(Refusal::new(what, "release the lock before the capture"));
    }
    let path_only = seen.info.flags & libc::O_PATH != 0;
    match seen.class {
        Class::Directory if exists(seen) => Ok(Verdict::Directory(seen.link.clone())),
        Class::Directory => Err(Refusal::close(format!("a deleted directory, {name}"))),
        _ if path_only => Err(Refusal::close(format!("{name}, opened with O_PATH"))),
        Class::CharacterDevice if is_stateless(seen) => Ok(Verdict::Device(seen.link.clone())),
        Class::CharacterDevice if name.to_string().starts_with("/dev/pts/") => {
            Err(Refusal::close(format!("a terminal, {name}")))
        }
        Class::CharacterDevice => Err(Refusal::close(format!("a device, {name}"))),
        Class::BlockDevice => Err(Refusal::close(format!("a block device, {name}"))),
        Class::Fifo => Err(Refusal::close(format!("a named pipe, {name}"))),
        Class::Memfd => memfd(seen),
        _ => regular(seen, places),
    }
}

fn regular(seen: &Seen, places: &Places) -> Result<Verdict, Refusal> {
    let name = seen.link.display();
    if seen.link.starts_with("/proc") {
        return proc_file(seen, places);
    }
    if !exists(seen) {
        return deleted(seen, strip_deleted(&seen.link));
    }
    let append = seen.info.flags & libc::O_APPEND != 0;
    if seen.writable() && !append {
        let remedy = "close it, or open it for appending: two instances would overwrite each other's data";
        return Err(Refusal::new(format!("{name} is open for writing without O_APPEND"), remedy));
    }
    if !seen.writable() && places.is_temporary(&seen.link) {
        return Ok(Verdict::Carried { path: seen.link.clone(), copy: false });
    }
    Ok(Verdict::Regular(seen.link.clone()))
}

/// A file without a name belongs to whoever has it open, so each instance gets its own.
fn deleted(seen: &Seen, path: PathBuf) -> Result<Verdict, Refusal> {
    let size = seen.stat.st_size as u64;
    if seen.writable() && size > COPY_AT_MOST {
        let what = format!("a deleted file of {size} bytes that is open for writing, {}", path.display());
        return Err(Refusal::close(what));
    }
    Ok(Verdict::Carried { path, copy: seen.writable() })
}

fn memfd(seen: &Seen) -> Result<Verdict, Refusal> {
    let link = strip_deleted(&seen.link);
    let name = link.as_os_str().as_bytes();
    let name = name.strip_prefix(b"/memfd:").unwrap_or(name);
    match name.strip_prefix(CARRIED_NAME.as_bytes()) {
        Some(path) => deleted(seen, PathBuf::from(OsStr::from_bytes(path))),
        None if seen.writable() => {
            let name = String::from_utf8_lossy(name);
            Err(Refusal::close(format!("a memfd that is open for writing, {name:?}")))
        }
        None => Ok(Verdict::Carried { path: PathBuf::from(OsStr::from_bytes(name)), copy: false }),
    }
}

/// The JVM's own files in /proc become the instance's own; another process's are not opened again.
fn proc_file(seen: &Seen, places: &Places) -> Result<Verdict, Refusal> {
    let name = seen.link.display();
    if seen.writable() {
        return Err(Refusal::close(format!("{name} is open for writing")));
    }
    let mut parts = seen.link.strip_prefix("/proc").unwrap_or(&seen.link).components();
    let first = parts.next().and_then(|part| part.as_os_str().to_str()).unwrap_or_default();
    let rest = parts.as_path();
    match first.parse::<i32>() {
        Ok(pid) if pid == places.pid && !rest.starts_with("task") => {
            Ok(Verdict::Regular(Path::new("/proc/self").join(rest)))
        }
        Ok(_) => Err(Refusal::close(format!("{name}, which speaks of one process or thread"))),
        Err(_) => Ok(Verdict::Regular(seen.link.clone())),
    }
}

fn is_stateless(seen: &Seen) -> bool {
    let device = (major(seen.stat.st_rdev), minor(seen.stat.st_rdev));
    DEVICES.contains(&device) && exists(seen)
}

/// Whether the link still leads to this very file.
fn exists(seen: &Seen) -> bool {
    stat(&seen.link).is_ok_and(|found| (found.st_dev, found.st_ino) == (seen.stat.st_dev, seen.stat.st_ino))
}

fn strip_deleted(link: &Path) -> PathBuf {
    let bytes = link.as_os_str().as_bytes();
    PathBuf::from(std::ffi::OsString::from_vec(bytes.strip_suffix(b" (deleted)").unwrap_or(bytes).to_vec()))
}

/// `hsperfdata_USER/PID`: newer JDKs keep it open for the sake of their lock on it.
fn is_perf_data(seen: &Seen) -> bool {
    let path = strip_deleted(&seen.link);
    let digits = |name: &OsStr| name.as_bytes().iter().all(u8::is_ascii_digit);
    let directory = path.parent().and_then(Path::file_name);
    seen.class == Class::Regular
        && path.file_name().is_some_and(digits)
        && directory.is_some_and(|name| name.as_bytes().starts_with(b"hsperfdata_"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_the_command_is_made_of_is_not_temporary() {
        let home = std::env::temp_dir().join(format!("hotfork-runtime-{}", std::process::id()));
        fs::create_dir_all(home.join("lib/server")).unwrap();
        let jar = std::env::temp_dir().join("app.jar");
        let places =
            Places { pid: 1, cwd: "/".into(), temporary: vec![std::env::temp_dir()], class_path: vec![jar.clone()] };
        assert!(!places.is_temporary(&jar) && places.is_temporary(&std::env::temp_dir().join("other.jar")));
        let before = places.is_temporary(&home.join("lib/modules"));
        fs::write(home.join("lib/server/libjvm.so"), b"").unwrap();
        let after = places.is_temporary(&home.join("lib/modules"));
        fs::remove_dir_all(&home).unwrap();
        assert!(before && !after);
        assert!(places.is_temporary(&std::env::temp_dir().join("libzstd.so")));
        assert!(!places.is_temporary(Path::new("/etc/passwd")));
    }

    #[test]
    fn the_performance_file_is_known_by_its_name() {
        let stat = stat("/proc/version").unwrap();
        let seen = |link: &str| {
            let class = Class::Regular;
            is_perf_data(&Seen { number: 3, link: link.into(), stat, class, info: Default::default() })
        };
        assert!(seen("/tmp/hsperfdata_root/4711"));
        assert!(seen("/tmp/hsperfdata_root/4711 (deleted)"));
        assert!(!seen("/tmp/hsperfdata_root/x4711"));
        assert!(!seen("/tmp/hsperfdata/4711"));
    }
}
