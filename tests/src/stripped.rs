//! A JDK like another, but for its libjvm.so, which has no symbol table, as some distributors' builds have none.

use crate::jdk::Jdk;
use crate::{During, Outcome};
use object::LittleEndian;
use object::elf::{FileHeader64, SHT_SYMTAB};
use object::read::elf::{FileHeader, SectionHeader};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

const LIBJVM: &str = "lib/server/libjvm.so";

/// Makes it at `copy`, of links, but for what finds its home by its own place.
pub fn without_symbols(jdk: &Jdk, copy: &Path) -> Outcome<Jdk> {
    link_all(&jdk.home, copy)?;
    for file in ["bin/java", LIBJVM] {
        let file = copy.join(file);
        let original = file.canonicalize().during(format_args!("find {}", file.display()))?;
        fs::remove_file(&file)
            .and_then(|()| fs::copy(original, &file))
            .during(format_args!("copy {}", file.display()))?;
    }
    hide_symbols(&copy.join(LIBJVM))?;
    Ok(Jdk { home: copy.to_path_buf(), ..jdk.clone() })
}

fn link_all(from: &Path, to: &Path) -> Outcome {
    let what = format!("copy {}", from.display());
    fs::create_dir(to).during(&what)?;
    for entry in fs::read_dir(from).during(&what)? {
        let entry = entry.during(&what)?;
        let new = to.join(entry.file_name());
        if entry.file_type().during(&what)?.is_dir() {
            link_all(&entry.path(), &new)?;
        } else {
            symlink(entry.path(), &new).during(&what)?;
        }
    }
    Ok(())
}

/// Without the type that says so, no section is a symbol table. What is loaded stays as it is.
fn hide_symbols(library: &Path) -> Outcome {
    let what = format!("take the symbol table out of {}", library.display());
    let mut bytes = fs::read(library).during(&what)?;
    let header = FileHeader64::<LittleEndian>::parse(&*bytes).during(&what)?;
    let sections = header.section_headers(LittleEndian, &*bytes).during(&what)?;
    let number = sections.iter().position(|section| section.sh_type(LittleEndian) == SHT_SYMTAB);
    let (table, size) = (header.e_shoff.get(LittleEndian), size_of_val(&sections[0]));
    if let Some(number) = number {
        // The type lies behind the name, four bytes each.
        let at = table as usize + number * size + 4;
        bytes[at..at + 4].fill(0);
        fs::write(library, bytes).during(&what)?;
    }
    Ok(())
}
