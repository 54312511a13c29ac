//! What a process prints, read by a thread as it comes, so that others can wait for a line or for
//! the end of it.

use std::io::Read;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

#[derive(Default)]
struct Text {
    bytes: Vec<u8>,
    ended: bool,
}

#[derive(Clone, Default)]
pub struct Stream {
    shared: Arc<(Mutex<Text>, Condvar)>,
}

/// How waiting for a line ended otherwise.
#[derive(Debug, PartialEq, Eq)]
pub enum Missing {
    /// Nobody holds the other end any more.
    End,
    TimeOut,
}

impl Stream {
    pub fn read(mut source: impl Read + Send + 'static) -> Self {
        let stream = Self::default();
        let writer = stream.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = source.read(&mut buffer) {
                writer.change(|text| text.bytes.extend_from_slice(&buffer[..count]));
            }
            writer.change(|text| text.ended = true);
        });
        stream
    }

    fn change(&self, how: impl FnOnce(&mut Text)) {
        how(&mut self.lock());
        self.shared.1.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Text> {
        self.shared.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.lock().bytes).into_owned()
    }

    /// The first whole line that `wanted` accepts, printed already or still to come.
    pub fn line(&self, limit: Duration, wanted: impl Fn(&str) -> bool) -> Result<String, Missing> {
        self.wait(limit, |text| {
            let all = String::from_utf8_lossy(&text.bytes);
            let whole = if text.ended { all.len() } else { all.rfind('\n').map_or(0, |end| end + 1) };
            all[..whole].lines().find(|line| wanted(line)).map(str::to_string)
        })
    }

    /// Waits until the other end is closed.
    pub fn end(&self, limit: Duration) -> Result<(), Missing> {
        self.wait(limit, |text| text.ended.then_some(()))
    }

    fn wait<T>(&self, limit: Duration, look: impl Fn(&Text) -> Option<T>) -> Result<T, Missing> {
        let deadline = Instant::now() + limit;
        let mut text = self.lock();
        loop {
            if let Some(found) = look(&text) {
                return Ok(found);
            }
            if text.ended {
                return Err(Missing::End);
            }
            let Some(left) = deadline.checked_duration_since(Instant::now()) else {
                return Err(Missing::TimeOut);
            };
            text = match self.shared.1.wait_timeout(text, left) {
                Ok((text, _)) => text,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn lines_and_the_end_are_waited_for() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let stream = Stream::read(reader);
        writer.write_all(b"one\ntw").unwrap();
        let soon = Duration::from_secs(5);
        assert_eq!(stream.line(soon, |line| line == "one"), Ok("one".into()));
        assert_eq!(stream.line(Duration::from_millis(1), |line| line == "tw"), Err(Missing::TimeOut));
        writer.write_all(b"o\nend").unwrap();
        assert_eq!(stream.line(soon, |line| line.starts_with("tw")), Ok("two".into()));
        drop(writer);
        assert_eq!(stream.line(soon, |line| line == "end"), Ok("end".into()));
        assert_eq!(stream.line(soon, |line| line == "more"), Err(Missing::End));
        assert_eq!(stream.end(soon), Ok(()));
    }
}
