//! From single descriptors to the table: numbers, descriptions, what they share.

use super::contents::Contents;
use super::file::{self, Places, Verdict};
use super::pipe::Pipes;
use super::refusal::{Refusal, Refusals};
use super::seen::{Seen, is_file};
use super::sharing::{self, Comparison};
use super::{Recorded, socket};
use crate::descriptors::class::Class;
use crate::descriptors::options::Defaults;
use crate::exit::Failure;
use crate::image::manifest::{CarriedContent, Description, Descriptors, EpollEntry, Kind, Number};
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// Descriptors 0 to 2 become the restorer's, whatever they are, unless they are plainly something else:
/// a JVM that was started with one of them closed has put its own files there.
pub fn check_standard(seen: &Seen) -> Result<(), Refusal> {
    let own = matches!(seen.class, Class::EventFd | Class::TimerFd | Class::Epoll | Class::Anonymous(_))
        || seen.link.ends_with("lib/modules");
    if !own {
        return Ok(());
    }
    let what = format!("{} stands where stdin, stdout or stderr should be", seen.link.display());
    Err(Refusal::new(what, "start the JVM with 0, 1 and 2 open, /dev/null will do"))
}

/// Refuses kinds that can be told by their name alone.
pub fn refuse_kind(class: &Class, seen: &Seen) -> Result<(), Refusal> {
    match class {
        Class::Anonymous(name) => Err(match (name.as_str(), seen.info.pid) {
            ("inotify", _) => Refusal::close(format!("an inotify instance with {} watches", seen.info.inotify_watches)),
            ("pidfd", Some(pid)) => Refusal::close(format!("a pidfd of process {pid}")),
            ("io_uring", _) => {
                Refusal::new("an io_uring", "use epoll or NIO instead (Netty: choose another transport)")
            }
            ("userfaultfd" | "signalfd" | "pidfd", _) => Refusal::close(format!("a {name}")),
            ("perf_event", _) => Refusal::close("a perf event"),
            _ => Refusal::close(format!("a descriptor of kind {name}")),
        }),
        Class::Other(link) => Err(Refusal::close(format!("a descriptor of kind {link}"))),
        _ => Ok(()),
    }
}

/// `table` is in order of the numbers.
pub fn build(
    table: &[(Seen, OwnedFd)],
    places: &Places,
    comparison: Comparison,
    defaults: &Defaults,
) -> Result<Recorded, Failure> {
    let groups = sharing::descriptions(table, comparison)?;
    let mut builder =
        Builder { table, places, defaults, pipes: Pipes::default(), carried: Vec::new(), inodes: Vec::new() };
    let mut refusals = Refusals::default();
    let mut numbers = Vec::with_capacity(table.len());
    let mut descriptions = Vec::with_capacity(groups.len());
    for group in &groups {
        let (first, duplicate) = &table[group[0]];
        let kind = match builder.standard(group) {
            Some(kind) => check_standard(first).map(|()| kind),
            None => builder.kind(first, duplicate),
        };
        match kind {
            Ok(kind) => descriptions.push(Description { flags: first.status_flags(), kind }),
            Err(refusal) => refusals.add(first.number, refusal),
        }
        let description = descriptions.len().saturating_sub(1) as u32;
        numbers.extend(group.iter().map(|&at| {
            let seen = &table[at].0;
            Number { fd: seen.number, description, close_on_exec: seen.close_on_exec() }
        }));
    }
    refusals.into_result()?;
    numbers.sort_unstable_by_key(|number| number.fd);
    let contents =
        builder.carried.iter().map(|carried| CarriedContent { offset: 0, length: carried.length() }).collect();
    let descriptors = Descriptors { numbers, descriptions, pipes: builder.pipes.pipes, contents };
    Ok(Recorded { descriptors, contents: builder.carried })
}

struct Builder<'a> {
    table: &'a [(Seen, OwnedFd)],
    places: &'a Places,
    defaults: &'a Defaults,
    pipes: Pipes,
    carried: Vec<Contents>,
    /// (device, inode) of each of `carried`.
    inodes: Vec<(u64, u64)>,
}

impl Builder<'_> {
    /// Whether a description is that of descriptor 0, 1 or 2, or the same pipe or terminal opened once more
    /// (/dev/stdout). Where 0, 1 and 2 are one description, another number of it is most likely for output.
    fn standard(&self, group: &[usize]) -> Option<Kind> {
        let numbers: Vec<_> = group.iter().map(|&at| self.table[at].0.number).collect();
        if let Some(number) = [1, 2, 0].into_iter().find(|number| numbers.contains(number)) {
            return Some(Kind::Standard { number });
        }
        let seen = &self.table[group[0]].0;
        let same = |(standard, _): &&(Seen, OwnedFd)| {
            standard.number <= 2
                && (standard.stat.st_dev, standard.stat.st_ino) == (seen.stat.st_dev, seen.stat.st_ino)
                && (standard.access() == seen.access() || standard.access() == libc::O_RDWR)
        };
        let stream = match seen.class {
            Class::Pipe => true,
            Class::CharacterDevice => file::judge(seen, self.places).is_err(),
            _ => false,
        };
        let found = self.table.iter().find(same).filter(|_| stream)?;
        Some(Kind::Standard { number: found.0.number })
    }

    fn kind(&mut self, seen: &Seen, duplicate: &OwnedFd) -> Result<Kind, Refusal> {
        refuse_kind(&seen.class, seen)?;
        if seen.info.flags & libc::O_ASYNC != 0 {
            return Err(Refusal::close(format!("{} with signal-driven I/O (O_ASYNC)", seen.link.display())));
        }
        match &seen.class {
            class if is_file(class) => self.file(seen, duplicate),
            Class::Pipe => self.pipes.record(seen, duplicate),
            Class::Socket => socket::record(duplicate, self.defaults, &self.places.cwd),
            Class::EventFd => {
                let eventfd = seen.info.eventfd.ok_or_else(|| untold(seen))?;
                Ok(Kind::EventFd { count: eventfd.count, semaphore: eventfd.semaphore })
            }
            Class::TimerFd => {
                let timer = seen.info.timer.ok_or_else(|| untold(seen))?;
                Ok(Kind::TimerFd {
                    clock: timer.clock,
                    ticks: timer.ticks,
                    settime_flags: timer.settime_flags,
                    value: timer.value,
                    interval: timer.interval,
                })
            }
            Class::Epoll => self.epoll(seen),
            _ => Err(untold(seen)),
        }
    }

    fn file(&mut self, seen: &Seen, duplicate: &OwnedFd) -> Result<Kind, Refusal> {
        let offset = seen.info.position;
        match file::judge(seen, self.places)? {
            Verdict::PerfData => Ok(Kind::PerfData),
            Verdict::Device(path) => Ok(Kind::Device { path }),
            Verdict::Directory(path) => Ok(Kind::Directory { path, offset }),
            Verdict::Regular(path) => {
                let (size, mtime) = (seen.stat.st_size as u64, seen.stat.st_mtime);
                Ok(Kind::Regular { path, offset, size, mtime })
            }
            Verdict::Carried { path, copy } => {
                let content = self.carry(seen, duplicate, &path, copy)?;
                Ok(Kind::Carried { path, offset, content })
            }
        }
    }

    /// Index of the file's contents; one file is carried once, however often it is open.
    fn carry(&mut self, seen: &Seen, duplicate: &OwnedFd, path: &Path, copy: bool) -> Result<u32, Refusal> {
        let inode = (seen.stat.st_dev, seen.stat.st_ino);
        let known = self.inodes.iter().position(|known| *known == inode);
        if let Some(index) = known
            && (!copy || matches!(self.carried[index], Contents::Bytes(_)))
        {
            return Ok(index as u32);
        }
        let contents = Contents::take(duplicate, PathBuf::from(path), seen.stat.st_size as u64, copy)
            .map_err(|error| Refusal::close(format!("{}, which cannot be read: {error}", path.display())))?;
        match known {
            Some(index) => {
                self.carried[index] = contents;
                Ok(index as u32)
            }
            None => {
                self.inodes.push(inode);
                self.carried.push(contents);
                Ok(self.carried.len() as u32 - 1)
            }
        }
    }

    /// An entry lives as long as its description, which may have lost the number that the entry names.
    fn epoll(&self, seen: &Seen) -> Result<Kind, Refusal> {
        let inodes: HashMap<i32, u64> = self.table.iter().map(|(seen, _)| (seen.number, seen.stat.st_ino)).collect();
        let mut entries = Vec::with_capacity(seen.info.targets.len());
        for target in &seen.info.targets {
            let inode = inodes.get(&target.fd);
            if inode.is_none() || target.inode.is_some_and(|registered| Some(&registered) != inode) {
                let what = format!("an epoll set that still watches a file which was number {}", target.fd);
                return Err(Refusal::new(what, "take that file out of the set before its number is closed"));
            }
            entries.push(EpollEntry { fd: target.fd, events: target.events, data: target.data });
        }
        Ok(Kind::Epoll { entries })
    }
}

fn untold(seen: &Seen) -> Refusal {
    Refusal::close(format!("{}, of which /proc does not tell the state", seen.link.display()))
}
