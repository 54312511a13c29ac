//! Says on standard error what is going on: a line that is rewritten on a terminal, silence elsewhere.

use std::io::{IsTerminal, Write, stderr};

pub struct Progress {
    terminal: bool,
    open: bool,
}

impl Progress {
    pub fn new() -> Self {
        Self { terminal: stderr().is_terminal(), open: false }
    }

    /// A step that stays to be read.
    pub fn step(&mut self, text: &str) {
        self.clear();
        eprintln!("{text}");
    }

    /// How far the current step is.
    pub fn show(&mut self, text: &str) {
        if self.terminal {
            self.open = true;
            write(&format!("\r\x1b[K  {text}"));
        }
    }

    pub fn clear(&mut self) {
        if std::mem::take(&mut self.open) {
            write("\r\x1b[K");
        }
    }
}

fn write(text: &str) {
    let mut stderr = stderr();
    // A terminal that went away needs no progress.
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}
