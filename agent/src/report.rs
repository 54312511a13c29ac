//! What the user reads on stderr: one line at a time, each beginning with `hotfork:`.

use std::io::Write;

/// Tells the user. Write errors are ignored: a closed stderr must not harm the application.
pub fn line(text: &str) {
    let _ = std::io::stderr().lock().write_all(format!("hotfork: {text}\n").as_bytes());
}

/// Bytes as people read them: one decimal, binary megabytes.
pub fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / f64::from(1 << 20))
}

/// Nanoseconds as milliseconds with one decimal.
pub fn milliseconds(nanoseconds: u64) -> String {
    format!("{:.1} ms", nanoseconds as f64 / 1e6)
}
