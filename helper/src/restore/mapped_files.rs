//! The files behind the image's mappings: each must be what it was when the image was taken.

use super::refusal::Refusal;
use crate::image::checksum;
use crate::image::manifest::MappedFile;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::Mode;
use object::elf::FileHeader64;
use object::read::elf::{FileHeader, ProgramHeader};
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};

/// Opens one file and compares it: equal size and whole-second mtime will do; where the mtime
/// differs (container layers, a reinstall of the same package) the contents decide.
pub fn open(expected: &MappedFile) -> Result<File, Refusal> {
    let path = expected.path.display();
    // Not by std, which goes by musl's open: that sets close-on-exec once more, for kernels before 2.6.23.
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let opened = openat(AT_FDCWD, &expected.path, flags, Mode::empty()).map_err(io::Error::from);
    let file = File::from(opened.map_err(|error| {
        Refusal::outdated(format!(
            "{path}, which the image maps, cannot be opened: {error}; put it back, or take the image again"
        ))
    })?);
    let unreadable = |error| {
        Refusal::outdated(format!("{path}, which the image maps, cannot be read: {error}; take the image again"))
    };
    let metadata = file.metadata().map_err(unreadable)?;
    let changed = |how: String| {
        Refusal::outdated(format!(
            "{path} changed since the image was taken ({how}); put it back, or take the image again"
        ))
    };
    if !metadata.is_file() {
        return Err(changed("it is no regular file any more".into()));
    }
    if metadata.size() != expected.size {
        return Err(changed(format!("{} bytes then, {} now", expected.size, metadata.size())));
    }
    if metadata.mtime() == expected.mtime {
        return Ok(file);
    }
    if !expected.build_id.is_empty() {
        return match build_id(&file).map_err(unreadable)? {
            Some(found) if found == expected.build_id => Ok(file),
            Some(found) => Err(changed(format!("build-id {} then, {found} now", expected.build_id))),
            None => Err(changed(format!("build-id {} then, none now", expected.build_id))),
        };
    }
    match expected.digest {
        Some(digest) if checksum::of_file(&file).map_err(unreadable)? == digest => Ok(file),
        Some(_) => Err(changed("its contents differ".into())),
        None => Err(changed("its time differs, and it has nothing else to be known by".into())),
    }
}

/// How much of a file is looked at: linkers put its notes right behind the program headers.
const HEAD: usize = 64 << 10;

/// The GNU build-id of an ELF file in hexadecimal; `None` for other files and files without one in their first 64 KB.
pub fn build_id(file: &File) -> io::Result<Option<String>> {
    let mut head = vec![0; HEAD];
    let mut length = 0;
    while length < HEAD {
        match file.read_at(&mut head[length..], length as u64) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(build_id_of(&head[..length]))
}

fn build_id_of(data: &[u8]) -> Option<String> {
    let header = FileHeader64::<object::Endianness>::parse(data).ok()?;
    let endian = header.endian().ok()?;
    header.program_headers(endian, data).ok()?.iter().find_map(|segment| {
        let mut notes = segment.notes(endian, data).ok()??;
        while let Some(note) = notes.next().ok()? {
            if note.name() == object::elf::ELF_NOTE_GNU && note.n_type(endian) == object::elf::NT_GNU_BUILD_ID {
                return Some(note.desc().iter().map(|byte| format!("{byte:02x}")).collect());
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    struct Scratch(PathBuf);

    impl Drop for Scratch {
        fn drop(&mut self) {
            std::fs::remove_file(&self.0).unwrap();
        }
    }

    fn scratch(name: &str, contents: &[u8]) -> (Scratch, MappedFile) {
        let path = std::env::temp_dir().join(format!("hotfork-mapped-{name}-{}", std::process::id()));
        std::fs::write(&path, contents).unwrap();
        let file = File::open(&path).unwrap();
        let metadata = file.metadata().unwrap();
        let expected = MappedFile {
            path: path.clone(),
            size: metadata.size(),
            mtime: metadata.mtime(),
            build_id: build_id(&file).unwrap().unwrap_or_default(),
            digest: Some(checksum::of_file(&file).unwrap()),
        };
        (Scratch(path), expected)
    }

    fn refusal(expected: &MappedFile) -> String {
        open(expected).unwrap_err().failure.message
    }

    #[test]
    fn size_and_time_will_do() {
        let (_scratch, expected) = scratch("same", b"data");
        open(&expected).unwrap();
        open(&MappedFile { digest: None, ..expected }).unwrap();
    }

    #[test]
    fn contents_decide_where_the_time_differs() {
        let (_scratch, mut expected) = scratch("time", b"data");
        expected.mtime -= 100;
        open(&expected).unwrap();
        assert!(refusal(&MappedFile { digest: Some([0; 32]), ..expected.clone() }).contains("its contents differ"));
        assert!(refusal(&MappedFile { digest: None, ..expected }).contains("nothing else to be known by"));
    }

    #[test]
    fn the_build_id_of_a_library_decides() {
        let own = std::fs::read("/proc/self/exe").unwrap();
        let (_scratch, mut expected) = scratch("elf", &own);
        expected.digest = None;
        expected.mtime -= 1;
        if expected.build_id.is_empty() {
            expected.build_id = "00".into();
            assert!(refusal(&expected).contains("none now"));
        } else {
            open(&expected).unwrap();
        }
    }

    #[test]
    fn a_library_of_the_system_has_a_build_id() {
        let maps = crate::host::maps::own().unwrap();
        let libc = maps.iter().find(|mapping| mapping.name.contains("libc.so")).expect("tests are linked dynamically");
        let id = build_id(&File::open(&libc.name).unwrap()).unwrap().unwrap();
        assert!(id.len() >= 16 && id.bytes().all(|digit| digit.is_ascii_hexdigit()), "{id}");
    }

    #[test]
    fn missing_and_resized_files_are_named() {
        let (scratch, mut expected) = scratch("size", b"data");
        expected.size = 5;
        assert!(refusal(&expected).contains("changed since the image was taken (5 bytes then, 4 now)"));
        drop(scratch);
        assert!(refusal(&expected).contains("cannot be opened: No such file"));
        expected.path = std::env::temp_dir();
        assert!(refusal(&expected).contains("no regular file any more"));
    }
}
