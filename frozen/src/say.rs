//! One line on stderr without an allocator, for what can only be said just before the end.

use crate::syscall;

/// Writes `hotfork: TEXT (NUMBER)` and ends the process: what failed cannot be undone any more.
pub fn die(text: &str, number: i64) -> ! {
    let mut line = Line { bytes: [0; 256], used: 0 };
    line.text("hotfork: ");
    line.text(text);
    line.text(" (error ");
    line.number(number.unsigned_abs());
    line.text(")\n");
    let _ = syscall::write(2, line.bytes.get(..line.used).unwrap_or(b"hotfork: failed\n"));
    syscall::exit_group(hotfork_abi::restore::EXIT_AFTER_UNMAP)
}

struct Line {
    bytes: [u8; 256],
    used: usize,
}

impl Line {
    fn text(&mut self, text: &str) {
        for &byte in text.as_bytes() {
            if let Some(place) = self.bytes.get_mut(self.used) {
                *place = byte;
                self.used += 1;
            }
        }
    }

    fn number(&mut self, mut number: u64) {
        let mut digits = [0u8; 20];
        let mut first = digits.len();
        for place in digits.iter_mut().rev() {
            *place = b'0' + (number % 10) as u8;
            number /= 10;
            first -= 1;
            if number == 0 {
                break;
            }
        }
        for &digit in digits.get(first..).unwrap_or(&[]) {
            if let Some(place) = self.bytes.get_mut(self.used) {
                *place = digit;
                self.used += 1;
            }
        }
    }
}
