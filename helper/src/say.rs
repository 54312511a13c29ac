//! What hotfork tells its user: lines on stderr, each of which begins `hotfork:`.

use std::io::Write;

/// Writes `text` to stderr, every line of it prefixed. A stderr that cannot be written to has nobody
/// to be told so.
pub fn line(text: &str) {
    let mut out = String::with_capacity(text.len() + 16);
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        out.push_str("hotfork: ");
        out.push_str(line);
        out.push('\n');
    }
    let _ = std::io::stderr().write_all(out.as_bytes());
}

/// The same, unless the user asked for errors only.
pub fn note(quiet: bool, text: &str) {
    if !quiet {
        line(text);
    }
}
