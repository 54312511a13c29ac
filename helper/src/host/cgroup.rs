//! Limits of the control groups that this process is in, version 1 or 2.

use super::kernel::{read_line, read_small};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Tasks that may still be made, and the group that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TasksLeft {
    pub left: u64,
    pub limit: u64,
    pub group: PathBuf,
}

/// The groups of one controller, our own first, then its parents, and which of the two versions manages it. Some may not exist: in
/// a container the path may be the host's; then the mount's root is the container's group.
#[derive(Debug, PartialEq, Eq)]
struct Groups {
    version_1: bool,
    directories: Vec<PathBuf>,
}

/// `list` is /proc/self/cgroup. A controller has one hierarchy: where version 1 has it, version 2 has not (cgroups(7)).
fn groups(list: &str, controller: &str, root: &Path) -> Groups {
    let lines = || {
        list.lines().filter_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            Some((parts.next()?, parts.next()?))
        })
    };
    let version_1 = lines().find(|(controllers, _)| controllers.split(',').any(|name| name == controller));
    let Some((controllers, path)) = version_1.or_else(|| lines().find(|(controllers, _)| controllers.is_empty()))
    else {
        return Groups { version_1: false, directories: Vec::new() };
    };
    let mut mounts = match version_1 {
        Some(_) => vec![root.join(controllers), root.join(controller)],
        None => vec![root.to_owned(), root.join("unified")],
    };
    mounts.dedup();
    let chain = |mount: &PathBuf| {
        let own = mount.join(path.trim_start_matches('/'));
        own.ancestors().take_while(|group| group.starts_with(mount)).map(Path::to_owned).collect::<Vec<_>>()
    };
    Groups { version_1: version_1.is_some(), directories: mounts.iter().flat_map(chain).collect() }
}

fn own_groups(controller: &str) -> Groups {
    static LIST: OnceLock<String> = OnceLock::new();
    // No /proc/self/cgroup: a kernel without control groups, so there is no limit.
    let list = LIST.get_or_init(|| read_small("/proc/self/cgroup").unwrap_or_default());
    groups(list, controller, Path::new("/sys/fs/cgroup"))
}

fn number(path: PathBuf) -> Option<u64> {
    // "max" is no number: no limit.
    read_line(path).ok()?.parse().ok()
}

/// The tightest pids limit.
pub fn tasks_left() -> Option<TasksLeft> {
    let limits = own_groups("pids").directories.into_iter().filter_map(|group| {
        let limit = number(group.join("pids.max"))?;
        let left = limit.saturating_sub(number(group.join("pids.current"))?);
        Some(TasksLeft { left, limit, group })
    });
    limits.min_by_key(|limit| limit.left)
}

/// The tightest memory limit in bytes.
pub fn memory_limit() -> Option<u64> {
    let groups = own_groups("memory");
    let file = if groups.version_1 { "memory.limit_in_bytes" } else { "memory.max" };
    groups.directories.into_iter().filter_map(|group| number(group.join(file))).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: &str = "3:cpu,cpuacct:/x\n2:pids:/a/b\n1:memory:/elsewhere\n0::/c/d\n";

    fn directories(list: &str, controller: &str) -> Vec<String> {
        let found = groups(list, controller, Path::new("/r")).directories;
        found.into_iter().map(|path| path.display().to_string()).collect()
    }

    #[test]
    fn a_controller_of_version_1_is_looked_for_there_alone() {
        assert_eq!(directories(BOTH, "pids"), ["/r/pids/a/b", "/r/pids/a", "/r/pids"]);
        assert!(groups(BOTH, "pids", Path::new("/r")).version_1);
        assert_eq!(directories(BOTH, "cpu"), ["/r/cpu,cpuacct/x", "/r/cpu,cpuacct", "/r/cpu/x", "/r/cpu"]);
    }

    #[test]
    fn a_controller_of_version_2_lies_below_the_root_or_unified() {
        let expected = ["/r/c/d", "/r/c", "/r", "/r/unified/c/d", "/r/unified/c", "/r/unified"];
        assert_eq!(directories(BOTH, "io"), expected);
        assert!(!groups(BOTH, "io", Path::new("/r")).version_1);
        assert_eq!(directories("0::/\n", "pids"), ["/r/", "/r/unified/"]);
        assert_eq!(directories("1:name=systemd:/\n", "pids"), [""; 0]);
    }

    #[test]
    fn a_group_that_is_missing_or_unlimited_is_no_limit() {
        let directory = crate::scratch::Directory::new("cgroup");
        let groups = groups("0::/a/gone\n", "memory", directory.path());
        std::fs::create_dir(directory.path().join("a")).unwrap();
        for (group, limit) in [("a", "max\n"), (".", "4096\n")] {
            std::fs::write(directory.path().join(group).join("memory.max"), limit).unwrap();
        }
        let limits: Vec<_> = groups.directories.into_iter().map(|group| number(group.join("memory.max"))).collect();
        assert_eq!(limits, [None, None, Some(4096), None, None, None]);
    }
}
