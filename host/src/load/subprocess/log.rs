//! What a plugin's process writes to its stdout and stderr: the last lines are kept, to be shown where it dies.

use std::collections::VecDeque;
use std::io::{BufRead, PipeReader, Read, Result};

/// How many lines are kept.
const LINES: usize = 10;

/// How much of a line is kept.
const LINE: usize = 1024;

/// The last lines of a process's log.
#[derive(Debug)]
pub(crate) struct Log {
    pipe: Option<PipeReader>,
    last: VecDeque<String>,
    /// The line that has not ended yet.
    line: Vec<u8>,
}

impl Log {
    /// Reads from a pipe, and never waits for its writer.
    pub(crate) fn new(pipe: PipeReader) -> Result<Self> {
        rustix::io::ioctl_fionbio(&pipe, true)?;
        Ok(Self { pipe: Some(pipe), last: VecDeque::new(), line: Vec::new() })
    }

    /// What there is to wait for; `None` once the writer has gone.
    pub(crate) fn pipe(&self) -> Option<&PipeReader> {
        self.pipe.as_ref()
    }

    /// Takes in what has been written, and gives each line that has ended to `line`.
    pub(crate) fn read(&mut self, mut line: impl FnMut(&str)) {
        // A writer that never stops is not listened to for ever.
        for _ in 0..16 {
            let mut some = [0; 4096];
            let Some(pipe) = &mut self.pipe else { return };
            match pipe.read(&mut some) {
                Ok(0) => self.pipe = None,
                Ok(count) => self.take(&some[..count], &mut line),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
                Err(_broken) => self.pipe = None,
            }
        }
    }

    fn take(&mut self, mut bytes: &[u8], line: &mut impl FnMut(&str)) {
        while let Some(end) = end_of_line(bytes) {
            self.keep(&bytes[..end]);
            bytes = &bytes[end + 1..];
            self.end_line(line);
        }
        self.keep(bytes);
    }

    /// Adds to the line, up to where it is cut.
    fn keep(&mut self, bytes: &[u8]) {
        let room = LINE - self.line.len();
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn end_line(&mut self, line: &mut impl FnMut(&str)) {
        let ended = String::from_utf8_lossy(&std::mem::take(&mut self.line)).trim_end().to_owned();
        if !ended.is_empty() {
            line(&ended);
            self.last.push_back(ended);
        }
        while self.last.len() > LINES {
            self.last.pop_front();
        }
    }

    /// The last lines, the one that has not ended among them.
    pub(crate) fn last(&mut self) -> Vec<String> {
        if !self.line.is_empty() {
            self.end_line(&mut |_| {});
        }
        self.last.iter().cloned().collect()
    }
}

/// Where the first line ends. The library's own search is faster than a loop: who writes waits for who reads.
fn end_of_line(bytes: &[u8]) -> Option<usize> {
    let length = { bytes }.skip_until(b'\n').ok()?;
    (length > 0 && bytes[length - 1] == b'\n').then(|| length - 1)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn the_last_lines_are_kept_and_long_ones_cut() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let mut log = Log::new(reader).unwrap();
        for number in 0..20 {
            writeln!(writer, "line {number}\n").unwrap();
        }
        write!(writer, "{}", "x".repeat(2 * LINE)).unwrap();
        drop(writer);
        let mut heard = 0;
        while log.pipe().is_some() {
            log.read(|_| heard += 1);
        }
        let last = log.last();
        assert_eq!((heard, last.len(), last[0].as_str()), (20, LINES, "line 11"));
        assert_eq!(last[LINES - 1].len(), LINE);
    }
}
