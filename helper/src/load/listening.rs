//! Whether the application listens yet, as the kernel tells it: the JVM's own TCP sockets only.

use crate::proc::{Process, tcp};
use std::collections::BTreeSet;
use std::io;

/// Ports that sockets of this process listen on.
pub fn ports(process: Process) -> io::Result<BTreeSet<u16>> {
    let mut listeners = Vec::new();
    for file in ["net/tcp", "net/tcp6"] {
        match process.parse(file, tcp::listeners) {
            Ok(found) => listeners.extend(found),
            // A kernel without IPv6 has no tcp6.
            Err(error) if file == "net/tcp6" => log::debug!("{error}"),
            Err(error) => return Err(io::Error::other(error)),
        }
    }
    // Without anybody who listens there is nothing to look for.
    if listeners.is_empty() {
        return Ok(BTreeSet::new());
    }
    let own = inodes(process)?;
    Ok(listeners.into_iter().filter(|listener| own.contains(&listener.inode)).map(|listener| listener.port).collect())
}

fn inodes(process: Process) -> io::Result<BTreeSet<u64>> {
    let path = process.path("fd");
    let entries = std::fs::read_dir(&path).map_err(|error| io::Error::other(format!("{}: {error}", path.display())))?;
    let links = entries.flatten().filter_map(|entry| entry.path().read_link().ok());
    Ok(links.filter_map(|link| link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, TcpListener};

    #[test]
    fn own_listeners_are_seen_from_bind_to_close() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let own = Process(std::process::id() as i32);
        assert!(ports(own).unwrap().contains(&port));
        // A stranger's socket does not count: this test's parent has not opened it.
        assert!(!ports(Process(std::os::unix::process::parent_id() as i32)).unwrap().contains(&port));
        drop(listener);
        assert!(!ports(own).unwrap().contains(&port));
    }
}
