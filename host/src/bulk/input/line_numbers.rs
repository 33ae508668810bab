//! Counts the lines that a reader has read. The parser of CSV skips empty lines and the second half of `\r\n` without
//! counting them in time.

use std::collections::VecDeque;
use std::io::{self, Read};

/// A reader that remembers where lines start, until they are looked up.
#[derive(Debug)]
pub(super) struct LineNumbers<R> {
    inner: R,
    offset: u64,
    line: u64,
    /// True if the current line has no character yet.
    is_empty: bool,
    /// The offsets and the numbers of the lines that are not empty.
    starts: VecDeque<(u64, u64)>,
}

impl<R> LineNumbers<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, offset: 0, line: 1, is_empty: true, starts: VecDeque::new() }
    }

    /// Returns the number of the first line at this offset or behind it that is not empty, and forgets the lines before.
    pub(super) fn line_at(&mut self, offset: u64) -> u64 {
        while self.starts.front().is_some_and(|(start, _)| *start < offset) {
            self.starts.pop_front();
        }
        self.starts.front().map_or(self.line, |(_, line)| *line)
    }
}

impl<R: Read> Read for LineNumbers<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        for byte in &buffer[..length] {
            match byte {
                b'\n' => (self.line, self.is_empty) = (self.line + 1, true),
                b'\r' => {}
                _ if self.is_empty => {
                    self.is_empty = false;
                    self.starts.push_back((self.offset, self.line));
                }
                _ => {}
            }
            self.offset += 1;
        }
        Ok(length)
    }
}
