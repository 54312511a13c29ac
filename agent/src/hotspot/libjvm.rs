//! libjvm.so as the dynamic linker sees it: exported symbols, writable segments, thread-local block.
//!
//! # Safety contract of this file
//! Wraps dlsym and dl_iterate_phdr; the callback reads what the linker passes and keeps nothing.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_int, c_void};

/// Address of an exported symbol of libjvm or of any library loaded globally (libc).
pub fn exported(symbol: &str) -> Option<u64> {
    let symbol = CString::new(symbol).ok()?;
    // SAFETY: dlopen with RTLD_NOLOAD only looks the library up; dlsym reads a C string.
    let address = unsafe {
        let libjvm = libc::dlopen(c"libjvm.so".as_ptr(), libc::RTLD_LAZY | libc::RTLD_NOLOAD);
        let found = if libjvm.is_null() { std::ptr::null_mut() } else { libc::dlsym(libjvm, symbol.as_ptr()) };
        if found.is_null() { libc::dlsym(libc::RTLD_DEFAULT, symbol.as_ptr()) } else { found }
    };
    (!address.is_null()).then_some(address as u64)
}

/// glibc's `__rseq_offset` and `__rseq_size`: looked up at run time, they exist since 2.35. Size 0: not registered.
pub fn rseq() -> (i64, u64) {
    match (exported("__rseq_offset"), exported("__rseq_size")) {
        // SAFETY: glibc declares the first as ptrdiff_t, the second as unsigned int.
        (Some(offset), Some(size)) => unsafe { (*(offset as *const i64), u64::from(*(size as *const u32))) },
        _ => (0, 0),
    }
}

#[derive(Clone, Default)]
pub struct LoadedLibrary {
    /// What addresses in its file are added to.
    pub base: u64,
    /// Its dynamic section.
    pub dynamic: u64,
    /// Writable segments, `.bss` among them.
    pub writable: Vec<(u64, u64)>,
    pub tls_module: u64,
    /// The calling thread's thread-local block: address and size.
    pub tls_block: (u64, u64),
}

/// libjvm as it is loaded, `None` if it is not.
pub fn loaded() -> Option<LoadedLibrary> {
    let mut found: Option<LoadedLibrary> = None;
    // SAFETY: the callback gets a pointer to `found`, which lives until dl_iterate_phdr returns.
    unsafe { libc::dl_iterate_phdr(Some(look), (&raw mut found).cast()) };
    found
}

unsafe extern "C" fn look(info: *mut libc::dl_phdr_info, _size: usize, found: *mut c_void) -> c_int {
    // SAFETY: the linker passes a valid info; `found` is the Option of `loaded`; names and headers are
    // valid for the duration of the callback.
    unsafe {
        let info = &*info;
        if info.dlpi_name.is_null() || !CStr::from_ptr(info.dlpi_name).to_bytes().ends_with(b"/libjvm.so") {
            return 0;
        }
        let (base, tls_module) = (info.dlpi_addr, info.dlpi_tls_modid as u64);
        let mut library = LoadedLibrary { base, tls_module, ..Default::default() };
        for header in std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) {
            if header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_W != 0 {
                let from = info.dlpi_addr + header.p_vaddr;
                library.writable.push((from, from + header.p_memsz));
            }
            if header.p_type == libc::PT_DYNAMIC {
                library.dynamic = info.dlpi_addr + header.p_vaddr;
            }
            if header.p_type == libc::PT_TLS {
                library.tls_block = (info.dlpi_tls_data as u64, header.p_memsz);
            }
        }
        *found.cast::<Option<LoadedLibrary>>() = Some(library);
        1
    }
}
