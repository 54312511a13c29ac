//! Limits of the control groups that this process is in, version 1 or 2.

use super::kernel::read_small;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Tasks that may still be made, and the group that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TasksLeft {
    pub left: u64,
    pub limit: u64,
    pub group: PathBuf,
}

/// Directories in which the files of `controller` may lie, our own group first, then its parents.
/// `list` is /proc/self/cgroup. In a container the path may be the host's, which does not exist
/// here: then the mount's root is the container's group.
fn groups(list: &str, controller: &str, root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for line in list.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else { continue };
        let mounts = if controllers.is_empty() {
            vec![root.to_owned(), root.join("unified")]
        } else if controllers.split(',').any(|name| name == controller) {
            let mut mounts = vec![root.join(controllers), root.join(controller)];
            mounts.dedup();
            mounts
        } else {
            continue;
        };
        for mount in mounts {
            let own = mount.join(path.trim_start_matches('/'));
            let chain = own.ancestors().take_while(|group| group.starts_with(&mount)).map(Path::to_owned);
            found.extend(chain.filter(|group| group.is_dir()));
        }
    }
    found
}

fn own_groups(controller: &str) -> Vec<PathBuf> {
    static LIST: OnceLock<String> = OnceLock::new();
    // No /proc/self/cgroup: a kernel without control groups, so there is no limit.
    let list = LIST.get_or_init(|| read_small("/proc/self/cgroup").unwrap_or_default());
    groups(list, controller, Path::new("/sys/fs/cgroup"))
}

fn number(path: PathBuf) -> Option<u64> {
    // "max" is no number: no limit.
    read_small(path).ok()?.parse().ok()
}

/// The tightest pids limit.
pub fn tasks_left() -> Option<TasksLeft> {
    let limits = own_groups("pids").into_iter().filter_map(|group| {
        let limit = number(group.join("pids.max"))?;
        let left = limit.saturating_sub(number(group.join("pids.current"))?);
        Some(TasksLeft { left, limit, group })
    });
    limits.min_by_key(|limit| limit.left)
}

/// The tightest memory limit in bytes.
pub fn memory_limit() -> Option<u64> {
    let files = own_groups("memory").into_iter();
    files.flat_map(|group| [group.join("memory.max"), group.join("memory.limit_in_bytes")]).filter_map(number).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_groups_of_both_versions_and_falls_back_to_the_mount() {
        let root = std::env::temp_dir().join(format!("hotfork-cgroup-{}", std::process::id()));
        for group in ["pids/a/b", "unified/c"] {
            std::fs::create_dir_all(root.join(group)).unwrap();
        }
        let list = "3:cpu,cpuacct:/x\n2:pids:/a/b\n1:memory:/elsewhere\n0::/c\n";
        let pids = groups(list, "pids", &root);
        let expected = ["pids/a/b", "pids/a", "pids", "", "unified/c", "unified"];
        let gone = groups("1:pids:/of/the/host\n", "pids", &root);
        std::fs::remove_dir_all(&root).unwrap();
        assert_eq!(pids, expected.map(|group| root.join(group)));
        assert_eq!(gone, [root.join("pids")]);
    }
}
