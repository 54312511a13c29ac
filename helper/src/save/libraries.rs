//! Which native libraries come with the system's C library, and which may bring an allocator.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Libraries that get their memory from malloc, or not at all, by the name before `.so` (or before `-2.31.so`).
const SYSTEM: [&str; 21] = [
    "ld-linux-x86-64",
    "ld",
    "libc",
    "libm",
    "libdl",
    "libpthread",
    "librt",
    "libutil",
    "libresolv",
    "libanl",
    "libnsl",
    "libcrypt",
    "libstdc++",
    "libgcc_s",
    "libz",
    "libnuma",
    "libnss_files",
    "libnss_dns",
    "libnss_systemd",
    "libnss_compat",
    "libthread_db",
];

/// Whether this is glibc, its companions, or a compiler's run-time library.
pub fn is_system(path: &Path) -> bool {
    let name = path.file_name().map(OsStr::as_bytes).unwrap_or_default();
    SYSTEM.iter().any(|system| {
        let rest = name.strip_prefix(system.as_bytes());
        rest.is_some_and(|rest| {
            let version = rest
                .strip_prefix(b"-")
                .map(|rest| rest.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count() + 1);
            let rest = match version {
                // `-2.31.so`: the dot before `so` was counted with the number.
                Some(count) if count > 1 => &rest[count - 1..],
                _ => rest,
            };
            rest.starts_with(b".so")
        })
    })
}

/// Whether a file's name says that it is a shared library (`libx.so`, `libx.so.1`).
pub fn is_library_name(path: &Path) -> bool {
    let name = path.file_name().map(OsStr::as_bytes).unwrap_or_default();
    name.windows(3).any(|part| part == b".so")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_libraries() {
        for name in [
            "libc.so.6",
            "libc-2.31.so",
            "ld-linux-x86-64.so.2",
            "ld-2.31.so",
            "libstdc++.so.6.0.30",
            "libz.so.1.2.13",
            "libm.so.6",
            "libnuma.so.1.0.0",
        ] {
            assert!(is_system(&Path::new("/lib/x86_64-linux-gnu").join(name)), "{name}");
        }
    }

    #[test]
    fn others() {
        for name in [
            "libjemalloc.so.2",
            "librocksdbjni.so",
            "libcrypto.so.3",
            "libzstd.so.1",
            "libc",
            "libmimalloc.so",
            "libc-x.so",
        ] {
            assert!(!is_system(&Path::new("/usr/lib").join(name)), "{name}");
        }
    }

    #[test]
    fn names_of_libraries() {
        assert!(is_library_name(Path::new("/a/libx.so.1")));
        assert!(!is_library_name(Path::new("/usr/lib/locale/C.utf8/LC_CTYPE")));
        assert!(!is_library_name(Path::new("/usr/lib/x86_64-linux-gnu/gconv/gconv-modules.cache")));
    }
}
