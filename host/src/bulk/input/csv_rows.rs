//! Reads CSV with a header line, row by row. The columns get their types before the first row is sent.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Seek};

use csv::{ErrorKind, Reader, ReaderBuilder, StringRecord};
use mlflow_deploy_plugin_api::csv_header;

use super::line_numbers::LineNumbers;
use super::row::{ReadRow, RowSource, chain, unreadable};
use crate::bulk::request::Form;
use crate::client::inputs::csv::{ColumnGuess, ColumnType};

/// The number of rows from which the types of the columns are found, if the input cannot be read twice.
const SAMPLE: usize = 1_000;

/// The size of the buffer in bytes.
const BUFFER: usize = 1 << 18;

#[derive(Debug)]
pub(super) struct CsvRows {
    reader: Reader<LineNumbers<File>>,
    columns: Vec<String>,
    types: Vec<ColumnType>,
    form: Form,
    /// The rows that were read to find the types of the columns.
    sample: VecDeque<CsvRow>,
}

/// A row, or the reason why it cannot be read.
#[derive(Debug)]
struct CsvRow {
    line: u64,
    end: u64,
    record: Result<StringRecord, String>,
}

impl CsvRows {
    pub(super) fn open(mut source: File) -> io::Result<Self> {
        let is_pipe = !source.metadata()?.is_file();
        let start = if is_pipe { 0 } else { source.stream_position()? };
        let mut reader = new_reader(source.try_clone()?);
        let columns = header(&mut reader)?;
        let mut guesses = vec![ColumnGuess::default(); columns.len()];
        let mut sample = VecDeque::new();
        while !is_pipe || sample.len() < SAMPLE {
            let Some(row) = next_row(&mut reader, columns.len())? else { break };
            if let Ok(record) = &row.record {
                guesses.iter_mut().zip(record).for_each(|(guess, field)| guess.see(field));
            }
            if is_pipe {
                sample.push_back(row);
            }
        }
        if !is_pipe {
            source.seek(io::SeekFrom::Start(start))?;
            reader = new_reader(source);
            header(&mut reader)?;
        }
        let names: Vec<_> = columns.iter().map(|name| serde_json::Value::from(name.as_str()).to_string()).collect();
        let types = guesses.into_iter().map(ColumnGuess::column_type).collect();
        Ok(Self { reader, types, form: Form::split(&names.join(",")), columns, sample })
    }

    fn read(&self, row: CsvRow) -> ReadRow {
        let CsvRow { line, end, record } = row;
        // Separates fields by a character that is unusual in text, so that moved separators change the checksum.
        let text = record.as_ref().map(|record| record.iter().collect::<Vec<_>>().join("\u{1f}"));
        let checksum = chain(0, text.as_ref().map_or_else(|reason| reason.as_bytes(), String::as_bytes));
        let content = record.and_then(|record| self.json(&record)).map_err(unreadable);
        ReadRow { line, content: content.map(|json| (self.form.clone(), json.into_bytes())), checksum, end }
    }

    /// Returns the row as a list of values.
    fn json(&self, record: &StringRecord) -> Result<String, String> {
        let cell = |(position, field): (usize, &str)| {
            let (column, name) = (self.types[position], &self.columns[position]);
            let json = match column {
                _ if column.fits(field) => column.json(field),
                // In a pipe, the first rows of a column of floats may be integers.
                ColumnType::Integer if ColumnType::Float.fits(field) => ColumnType::Float.json(field),
                _ => {
                    let (found, expected) = (field.trim_ascii(), column.name());
                    return Err(format!(
                        "`{found}` in the column `{name}` is not {expected}, as the first {SAMPLE} rows are: read the \
                         input from a file instead of a pipe"
                    ));
                }
            };
            json.ok_or_else(|| format!("JSON has no number for `{}` in the column `{name}`", field.trim_ascii()))
        };
        let cells = record.iter().enumerate().map(cell).collect::<Result<Vec<_>, _>>()?;
        Ok(format!("[{}]", cells.join(",")))
    }
}

impl Iterator for CsvRows {
    type Item = io::Result<ReadRow>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = match self.sample.pop_front() {
            Some(row) => row,
            None => match next_row(&mut self.reader, self.columns.len()).transpose()? {
                Ok(row) => row,
                Err(error) => return Some(Err(error)),
            },
        };
        Some(Ok(self.read(row)))
    }
}

impl RowSource for CsvRows {}

fn new_reader(source: File) -> Reader<LineNumbers<File>> {
    ReaderBuilder::new().has_headers(false).flexible(true).buffer_capacity(BUFFER).from_reader(LineNumbers::new(source))
}

/// Reads the names of the columns: the first line that is not blank.
fn header(reader: &mut Reader<LineNumbers<File>>) -> io::Result<Vec<String>> {
    let mut record = StringRecord::new();
    loop {
        let failed = |error: csv::Error| io::Error::other(describe(&error));
        if !reader.read_record(&mut record).map_err(failed)? {
            return Err(io::Error::other("the input is empty: expected a header line with the column names"));
        }
        if !is_blank(&record) {
            return Ok(csv_header::unique_names(&record));
        }
    }
}

/// Reads the next row that is not blank; `None` at the end.
fn next_row(reader: &mut Reader<LineNumbers<File>>, columns: usize) -> io::Result<Option<CsvRow>> {
    let mut record = StringRecord::new();
    loop {
        let start = reader.position().byte();
        let read = reader.read_record(&mut record);
        let line = reader.get_mut().line_at(start);
        let end = reader.position().byte();
        let record = match read {
            Ok(false) => return Ok(None),
            Ok(true) if is_blank(&record) => continue,
            Ok(true) if record.len() != columns => {
                let fields = if record.len() == 1 { "field" } else { "fields" };
                Err(format!("the row has {} {fields}, the header line has {columns}", record.len()))
            }
            Ok(true) => Ok(record),
            Err(error) => match error.into_kind() {
                ErrorKind::Io(error) => return Err(error),
                ErrorKind::Utf8 { .. } => Err("the row is not UTF-8".to_owned()),
                other => Err(format!("the row is not CSV: {other:?}")),
            },
        };
        return Ok(Some(CsvRow { line, end, record }));
    }
}

/// Returns true if the line consists of blanks. A quoted empty field is not blank.
fn is_blank(record: &StringRecord) -> bool {
    record.len() == 1 && !record[0].is_empty() && record[0].trim_ascii().is_empty()
}

fn describe(error: &csv::Error) -> String {
    match error.kind() {
        ErrorKind::Utf8 { .. } => "the header line is not UTF-8".to_owned(),
        _ => error.to_string(),
    }
}
