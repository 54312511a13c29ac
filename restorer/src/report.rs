//! The one line that a failed restore still can write, and the end of the process.

use crate::numbers::*;
use crate::sys::{self, Errno};
use hotfork_abi::restore::EXIT_AFTER_UNMAP;

struct Line {
    bytes: [u8; 256],
    length: usize,
}

impl Line {
    fn text(&mut self, text: &str) {
        for (to, from) in self.bytes.iter_mut().skip(self.length).zip(text.bytes()) {
            *to = from;
            self.length += 1;
        }
    }

    fn number(&mut self, mut value: u64, base: u64) {
        let mut digits = [b'0'; 20];
        let mut count = 0;
        for place in digits.iter_mut().rev() {
            let digit = (value % base) as u8;
            *place = if digit < 10 { b'0' + digit } else { b'a' - 10 + digit };
            value /= base;
            count += 1;
            if value == 0 {
                break;
            }
        }
        let skipped = digits.len() - count;
        for (to, from) in self.bytes.iter_mut().skip(self.length).zip(digits.iter().skip(skipped)) {
            *to = *from;
            self.length += 1;
        }
    }
}

/// What the user can do about a call that failed.
fn advice(error: Errno) -> &'static str {
    let error = error.0;
    if error == ENOMEM {
        "give it more memory or address space (ulimit -v, vm.max_map_count, memory limit)"
    } else if error == EACCES || error == EPERM {
        "look for a security policy or mount option that forbids the mapping"
    } else if error == EIO {
        "look at the disk that holds the image"
    } else {
        "run `hotfork check` on the image"
    }
}

/// Writes the line and ends the process. There is no way back: the helper's memory is gone.
#[cold]
#[inline(never)]
pub fn die(call: &str, address: u64, error: Errno) -> ! {
    let mut line = Line { bytes: [0; 256], length: 0 };
    line.text("hotfork: restore failed half-way: ");
    line.text(call);
    line.text(" at 0x");
    line.number(address, 16);
    line.text(": errno ");
    line.number(error.0, 10);
    line.text("; ");
    line.text(advice(error));
    line.text(", then restore again\n");
    let _ = sys::call(SYS_WRITE, [2, line.bytes.as_ptr() as u64, line.length as u64, 0, 0, 0]);
    sys::exit(EXIT_AFTER_UNMAP)
}
