//! Reads the stdout and stderr of a plugin's process. Keeps the last lines for the error message if the process dies.

use std::collections::VecDeque;
use std::io::{BufRead, PipeReader, Read, Result};

/// The maximum number of lines that the log keeps.
const MAX_LINES: usize = 10;

/// The maximum number of bytes that the log keeps of a line.
const MAX_LINE_BYTES: usize = 1024;

/// The last lines that a process has written to its stdout and stderr.
#[derive(Debug)]
pub(crate) struct ProcessLog {
    pipe: Option<PipeReader>,
    last: VecDeque<String>,
    /// The start of a line whose end has not been read yet.
    line: Vec<u8>,
}

impl ProcessLog {
    /// Returns an empty log that reads from `pipe`. Makes the pipe non-blocking.
    pub(crate) fn new(pipe: PipeReader) -> Result<Self> {
        rustix::io::ioctl_fionbio(&pipe, true)?;
        Ok(Self { pipe: Some(pipe), last: VecDeque::new(), line: Vec::new() })
    }

    /// Returns the pipe that the output comes from, or `None` after the end of the output.
    pub(crate) fn pipe(&self) -> Option<&PipeReader> {
        self.pipe.as_ref()
    }

    /// Reads the available output. Passes each complete line to `line`.
    pub(crate) fn read(&mut self, mut line: impl FnMut(&str)) {
        // The limited number of reads ends the loop even if the writer never stops.
        for _ in 0..16 {
            let mut buffer = [0; 4096];
            let Some(pipe) = &mut self.pipe else { return };
            match pipe.read(&mut buffer) {
                Ok(0) => self.pipe = None,
                Ok(count) => self.take(&buffer[..count], &mut line),
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

    /// Appends bytes to the current line. Drops the bytes that exceed the maximum length of a line.
    fn keep(&mut self, bytes: &[u8]) {
        let room = MAX_LINE_BYTES - self.line.len();
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn end_line(&mut self, line: &mut impl FnMut(&str)) {
        let ended = String::from_utf8_lossy(&std::mem::take(&mut self.line)).trim_end().to_owned();
        if !ended.is_empty() {
            line(&ended);
            self.last.push_back(ended);
        }
        while self.last.len() > MAX_LINES {
            self.last.pop_front();
        }
    }

    /// Returns the last lines of the output, including an incomplete one at the end.
    pub(crate) fn last(&mut self) -> Vec<String> {
        if !self.line.is_empty() {
            self.end_line(&mut |_| {});
        }
        self.last.iter().cloned().collect()
    }
}

/// Returns the position of the first line feed. Uses `skip_until`, which is faster than a loop, because a slow reader
/// delays the process that writes the output.
fn end_of_line(bytes: &[u8]) -> Option<usize> {
    let length = { bytes }.skip_until(b'\n').ok()?;
    (length > 0 && bytes[length - 1] == b'\n').then(|| length - 1)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn the_last_lines_are_kept_and_long_ones_are_truncated() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let mut log = ProcessLog::new(reader).unwrap();
        for number in 0..20 {
            writeln!(writer, "line {number}\n").unwrap();
        }
        write!(writer, "{}", "x".repeat(2 * MAX_LINE_BYTES)).unwrap();
        drop(writer);
        let mut count = 0;
        while log.pipe().is_some() {
            log.read(|_| count += 1);
        }
        let last = log.last();
        assert_eq!((count, last.len(), last[0].as_str()), (20, MAX_LINES, "line 11"));
        assert_eq!(last[MAX_LINES - 1].len(), MAX_LINE_BYTES);
    }
}
