//! Where metaspace lies. vmStructs do not tell, but HotSpot's own diagnostic command `VM.metaspace vslist`
//! does, reached through the management table that libjvm hands out (jmm.h), with no Java class loaded.
//!
//! # Safety contract of this file
//! The table's layout is that of its version number, which the JVM checks; only versions that were tried
//! (17; 21 and 25) are asked for. Reading the text is safe code.
#![allow(unsafe_code)]

use super::libjvm::exported;
use crate::jvm::Jvm;
use jvmti_bindings::sys::jni;
use std::ffi::c_void;

/// (version, index of ExecuteDiagnosticCommand in the table): JDK 17's, and that of 21 and 25, which has one more
/// function before it.
const TABLES: [(i32, usize); 2] = [(0x2003_0000, 38), (0x2004_0000, 39)];

/// `(from, to)` of each reserved range; empty when this JVM does not tell.
pub fn ranges(jvm: &Jvm) -> Vec<(u64, u64)> {
    let text = execute(jvm, "VM.metaspace vslist").unwrap_or_default();
    let ranges = parse(&text);
    log::debug!("{} ranges of metaspace in {} bytes of text", ranges.len(), text.len());
    ranges
}

fn execute(jvm: &Jvm, command: &str) -> Option<String> {
    type GetManagement = unsafe extern "system" fn(i32) -> *const *const c_void;
    type Execute = unsafe extern "system" fn(*mut jni::JNIEnv, jni::jstring) -> jni::jstring;
    let get = exported("JVM_GetManagement")?;
    // SAFETY: this exported function has this signature in every JDK (jvm.h).
    let get: GetManagement = unsafe { std::mem::transmute::<usize, GetManagement>(get as usize) };
    let (table, index) = TABLES.iter().find_map(|&(version, index)| {
        // SAFETY: answers null for a version that it does not have.
        let table = unsafe { get(version) };
        (!table.is_null()).then_some((table, index))
    })?;
    let command = jvm.jni.new_string_utf(command)?;
    // SAFETY: a table of this version holds ExecuteDiagnosticCommand at this index; the command and the
    // result are local references of this thread.
    let text = unsafe {
        let execute = std::mem::transmute::<*const c_void, Execute>(*table.add(index));
        let text = execute(jvm.jni.raw(), command);
        let read = if text.is_null() { None } else { jvm.jni.get_string_utf(text) };
        jvm.jni.delete_local_ref(text);
        jvm.jni.delete_local_ref(command);
        read
    };
    jvm.check("VM.metaspace").ok()?;
    text
}

/// Lines such as `- node #0: base 0x00007f2a73000000: reserved=65536.00 KB, ...`.
fn parse(text: &str) -> Vec<(u64, u64)> {
    text.lines()
        .filter_map(|line| {
            let (_, rest) = line.split_once("base 0x")?;
            let (base, rest) = rest.split_once(": reserved=")?;
            let (size, rest) = rest.split_once(' ')?;
            let unit = match rest.get(..2)? {
                "KB" => 1024.0,
                "MB" => 1024.0 * 1024.0,
                "GB" => 1024.0 * 1024.0 * 1024.0,
                _ => return None,
            };
            let base = u64::from_str_radix(base, 16).ok()?;
            Some((base, base + (size.parse::<f64>().ok()? * unit) as u64))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn nodes_are_read_and_other_lines_skipped() {
        let text = "vsl non-class-space:\n- node #0: base 0x00007f2a73000000: reserved=65536.00 KB, committed=1.00 KB (  2%)\n 0:0x00007f2a73000000: CLLL\ncommit mask, base 0x00007f2a73000000:XX--\n- node #0: base 0x000000009a000000: reserved=1.00 GB, committed=192.00 KB";
        assert_eq!(parse(text), [(0x7f2a_7300_0000, 0x7f2a_7700_0000), (0x9a00_0000, 0xda00_0000)]);
    }
}
