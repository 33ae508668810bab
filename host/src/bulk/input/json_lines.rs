//! Reads JSON Lines: one request or one row on each line.

use std::io::{self, BufRead, BufReader, Read};

use mlflow_deploy_plugin_api::file;

use super::row::{ReadRow, RowSource, chain, unreadable};
use super::row_form::RowReader;

/// The maximum length of a line in bytes. A longer line is a row that cannot be read.
const MAX_LINE: usize = 64 << 20;

/// The size of the buffer in bytes.
const BUFFER: usize = 1 << 18;

pub(super) struct JsonLines {
    source: BufReader<Box<dyn Read + Send>>,
    reader: RowReader,
    line: u64,
    end: u64,
    buffer: Vec<u8>,
}

impl JsonLines {
    pub(super) fn new(source: Box<dyn Read + Send>, reader: RowReader) -> Self {
        Self { source: BufReader::with_capacity(BUFFER, source), reader, line: 0, end: 0, buffer: Vec::new() }
    }

    /// Reads a line into the buffer. Returns false at the end of the input. Keeps only the start of a line that is too
    /// long.
    fn read_line(&mut self) -> io::Result<bool> {
        self.buffer.clear();
        let limit = u64::try_from(MAX_LINE + 1).expect("the limit fits");
        let mut read = self.source.by_ref().take(limit).read_until(b'\n', &mut self.buffer)?;
        if self.buffer.len() > MAX_LINE && !self.buffer.ends_with(b"\n") {
            read += self.source.skip_until(b'\n')?;
        }
        self.line += 1;
        self.end += u64::try_from(read).expect("a length fits");
        Ok(read > 0)
    }

    fn row(&self, line: &[u8]) -> ReadRow {
        let content = if line.len() > MAX_LINE {
            Err(unreadable(format!("the row is longer than {} MiB", MAX_LINE >> 20)))
        } else {
            self.reader.form_of(line).map(|form| (form, line.to_vec()))
        };
        ReadRow { line: self.line, content, checksum: chain(0, line), end: self.end }
    }
}

impl Iterator for JsonLines {
    type Item = io::Result<ReadRow>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.read_line() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => return Some(Err(error)),
            }
            let mut line = self.buffer.as_slice();
            if self.line == 1 {
                if line.starts_with(b"\xff\xfe") || line.starts_with(b"\xfe\xff") {
                    return Some(Err(io::Error::other("found UTF-16, expected UTF-8: save it as UTF-8")));
                }
                line = file::without_byte_order_mark(line);
            }
            let line = line.trim_ascii();
            if !line.is_empty() {
                return Some(Ok(self.row(line)));
            }
        }
    }
}

impl RowSource for JsonLines {
    fn group_rows(&mut self) {
        self.reader.is_grouped = true;
    }
}

impl std::fmt::Debug for JsonLines {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "JsonLines(line {})", self.line)
    }
}
