//! Which numbers share an open file description.

use super::failed;
use super::seen::Seen;
use crate::descriptors::sys;
use crate::exit::Failure;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// The means that this host offers, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// fcntl F_DUPFD_QUERY, Linux 6.10
    Query,
    /// kcmp(2), which Docker's seccomp filter forbids
    Kcmp,
    /// Flip O_NONBLOCK on one, look at the other, put it back: right while the JVM is frozen.
    Flip,
}

impl Comparison {
    pub fn find() -> Result<Self, Failure> {
        let probe = std::fs::File::open("/dev/null").map_err(|error| failed("/dev/null", error))?;
        let same = probe.try_clone().map_err(|error| failed("/dev/null", error))?;
        let works = |means: Self| means.same(&probe, &same) == Ok(true);
        Ok([Self::Query, Self::Kcmp].into_iter().find(|means| works(*means)).unwrap_or(Self::Flip))
    }

    pub fn same(self, one: impl AsFd, other: impl AsFd) -> Result<bool, Errno> {
        match self {
            Self::Query => sys::same_by_query(one, other),
            Self::Kcmp => sys::same_by_kcmp(one, other),
            Self::Flip => same_by_flip(one, other),
        }
    }
}

fn same_by_flip(one: impl AsFd, other: impl AsFd) -> Result<bool, Errno> {
    let flags = |fd: &dyn AsFd| fcntl(fd.as_fd(), FcntlArg::F_GETFL).map(OFlag::from_bits_retain);
    let (before, other_before) = (flags(&one)?, flags(&other)?);
    fcntl(one.as_fd(), FcntlArg::F_SETFL(before ^ OFlag::O_NONBLOCK))?;
    let other_after = flags(&other);
    fcntl(one.as_fd(), FcntlArg::F_SETFL(before))?;
    Ok(other_before != other_after?)
}

/// Cheap facts that are equal where the description is; they keep the candidates few.
#[derive(PartialEq, Eq, Hash)]
struct Key<'a> {
    device: u64,
    inode: u64,
    flags: i32,
    position: u64,
    eventfd: Option<u64>,
    link: &'a Path,
}

impl<'a> Key<'a> {
    fn of(seen: &'a Seen) -> Self {
        Self {
            device: seen.stat.st_dev,
            inode: seen.stat.st_ino,
            flags: seen.status_flags(),
            position: seen.info.position,
            eventfd: seen.info.eventfd.and_then(|eventfd| eventfd.id),
            link: &seen.link,
        }
    }
}

/// The positions in `table` of the numbers of each description, in order of the first.
pub fn descriptions(table: &[(Seen, OwnedFd)], comparison: Comparison) -> Result<Vec<Vec<usize>>, Failure> {
    let mut found: Vec<Vec<usize>> = Vec::with_capacity(table.len());
    let mut candidates: HashMap<Key, Vec<usize>> = HashMap::with_capacity(table.len());
    for (position, (seen, duplicate)) in table.iter().enumerate() {
        let candidates = candidates.entry(Key::of(seen)).or_default();
        let mut of = None;
        for &candidate in candidates.iter() {
            let (first, other) = &table[found[candidate][0]];
            let same = comparison.same(other, duplicate).map_err(|error| {
                failed(format_args!("comparing {} with {}", first.number, seen.number), error.desc())
            })?;
            if same {
                of = Some(candidate);
                break;
            }
        }
        match of {
            Some(description) => found[description].push(position),
            None => {
                candidates.push(found.len());
                found.push(vec![position]);
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn every_means_tells_shared_from_separate() {
        let one = File::open("/proc/version").unwrap();
        let same = one.try_clone().unwrap();
        let separate = File::open("/proc/version").unwrap();
        for means in [Comparison::Query, Comparison::Kcmp, Comparison::Flip] {
            match means.same(&one, &same) {
                // What this kernel or sandbox does not offer cannot be tried; `find` passes it over too.
                Err(Errno::EINVAL | Errno::EPERM | Errno::ENOSYS) => assert_ne!(means, Comparison::Flip),
                answer => {
                    assert_eq!(answer, Ok(true), "{means:?}");
                    assert_eq!(means.same(&one, &separate), Ok(false), "{means:?}");
                }
            }
        }
    }

    #[test]
    fn a_flip_leaves_the_flags_as_they_were() {
        let one = File::open("/dev/null").unwrap();
        let before = fcntl(&one, FcntlArg::F_GETFL);
        same_by_flip(&one, one.try_clone().unwrap()).unwrap();
        assert_eq!(fcntl(&one, FcntlArg::F_GETFL), before);
    }
}
