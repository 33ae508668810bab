//! Reads the dataframe of a request from `dataframe_split` or CSV. Does not use the model's signature.

use std::iter;
use std::ops::Range;

use jiter::Peek;
use mlflow_deploy_plugin_api::csv_header;

use crate::array::{ArrayBuilder, NestedArray};
use crate::cells::{Cells, CsvFields};
use crate::error::ProtocolError;
use crate::json::JsonReader;
use crate::message::shorten;

/// The maximum number of columns in a dataframe. It is larger than the number of columns of any known model.
const MAX_COLUMNS: usize = 1 << 18;

/// A dataframe: columns with the same number of rows.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) rows: usize,
    pub(crate) columns: Vec<FrameColumn>,
}

/// A column of a dataframe.
#[derive(Clone, Debug)]
pub(crate) struct FrameColumn {
    pub(crate) label: ColumnLabel,
    pub(crate) data: NestedArray,
}

/// The label of a column in a dataframe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ColumnLabel {
    Name(String),
    /// A label that is not a string, such as the position of a column without a name. It never matches a name in the
    /// signature.
    Other(String),
}

impl ColumnLabel {
    /// Returns the label as an owned string.
    pub(crate) fn into_text(self) -> String {
        match self {
            Self::Name(text) | Self::Other(text) => text,
        }
    }

    /// Returns the label as a string slice.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Name(text) | Self::Other(text) => text,
        }
    }
}

impl Frame {
    /// Reads a dataframe from the value of `dataframe_split`: an object with `data` and, optionally, `columns` and
    /// `index`.
    pub(crate) fn read_split(text: &str, part: Range<usize>) -> Result<Self, ProtocolError> {
        let mut json = JsonReader::new(text, part);
        if json.peek()? != Peek::Object {
            return Err(ProtocolError::bad_request("`dataframe_split` is not an object of `columns` and `data`"));
        }
        let (mut labels, mut data) = (None, None);
        json.members(|json, key| {
            let peek = json.peek()?;
            match key {
                "columns" if peek != Peek::Null => labels = Some(read_labels(json, peek)?),
                "data" => data = Some(read_rows(json, peek)?),
                "columns" | "index" => {
                    json.skip(peek)?;
                }
                _ => {
                    return Err(ProtocolError::bad_request(format!(
                        "unknown member `{}` in `dataframe_split`: expected `columns`, `data` or `index`",
                        shorten(key),
                    )));
                }
            }
            Ok(())
        })?;
        let (rows, builders) = data.ok_or_else(|| ProtocolError::bad_request("`dataframe_split` has no `data`"))?;
        let labels =
            labels.unwrap_or_else(|| (0..builders.len()).map(|at| ColumnLabel::Other(at.to_string())).collect());
        if rows > 0 && labels.len() != builders.len() {
            return Err(ProtocolError::bad_request(format!(
                "`dataframe_split` has {} names in `columns`, but {} values in each row of `data`",
                labels.len(),
                builders.len(),
            )));
        }
        let builders = builders.into_iter().map(Some).chain(iter::repeat_with(|| None));
        let column = |(label, builder): (ColumnLabel, Option<ArrayBuilder>)| FrameColumn {
            label,
            data: builder.unwrap_or_else(ArrayBuilder::column).finish(Some(rows)),
        };
        Ok(Self { rows, columns: labels.into_iter().zip(builders).map(column).collect() })
    }

    /// Reads a dataframe from a CSV file with a header.
    pub(crate) fn read_csv(text: &str) -> Result<Self, ProtocolError> {
        let invalid = |reason: String| ProtocolError::bad_request(format!("the body is not valid CSV: {reason}"));
        let mut reader = csv::ReaderBuilder::new().from_reader(text.as_bytes());
        let header = reader.headers().map_err(|error| invalid(csv_reason(&error)))?;
        let labels: Vec<_> = csv_header::unique_names(header).into_iter().map(ColumnLabel::Name).collect();
        if labels.is_empty() {
            return Err(invalid("it is empty: expected a line with the names of the columns".to_owned()));
        }
        check_columns(labels.len())?;
        let mut fields: Vec<_> = iter::repeat_with(CsvFields::default).take(labels.len()).collect();
        let mut record = csv::StringRecord::new();
        let mut rows = 0;
        while reader.read_record(&mut record).map_err(|error| invalid(csv_reason(&error)))? {
            for (fields, field) in fields.iter_mut().zip(&record) {
                fields.push(field);
            }
            rows += 1;
        }
        let column = |(label, fields)| FrameColumn {
            label,
            data: NestedArray { shape: vec![rows], cells: Cells::Csv(fields), uneven: None },
        };
        Ok(Self { rows, columns: labels.into_iter().zip(fields).map(column).collect() })
    }
}

/// Describes an error of the CSV parser. The text is valid UTF-8 in memory, so the only possible error is a line with a
/// wrong number of fields.
fn csv_reason(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
            let line = pos.as_ref().map_or(0, csv::Position::line);
            let fields = if *len == 1 { "field" } else { "fields" };
            format!("line {line} has {len} {fields}, and the header has {expected_len}")
        }
        _ => error.to_string(),
    }
}

/// Fails if `columns`, a number of columns, is larger than [`MAX_COLUMNS`].
pub(crate) fn check_columns(columns: usize) -> Result<(), ProtocolError> {
    if columns > MAX_COLUMNS {
        return Err(ProtocolError::bad_request(format!("the dataframe has more than {MAX_COLUMNS} columns")));
    }
    Ok(())
}

fn read_labels(json: &mut JsonReader<'_>, peek: Peek) -> Result<Vec<ColumnLabel>, ProtocolError> {
    if peek != Peek::Array {
        return Err(ProtocolError::bad_request("`columns` of `dataframe_split` is not a list of names"));
    }
    let mut labels = Vec::new();
    let mut next = json.first_item()?;
    while let Some(peek) = next {
        labels.push(match peek {
            Peek::String => ColumnLabel::Name(json.string()?),
            _ => ColumnLabel::Other(json.raw(peek)?.to_owned()),
        });
        check_columns(labels.len())?;
        next = json.next_item()?;
    }
    Ok(labels)
}

/// Reads rows with equal numbers of values. A row that is not a list counts as a row with one value. Returns the number
/// of rows, and a builder for each column.
fn read_rows(json: &mut JsonReader<'_>, peek: Peek) -> Result<(usize, Vec<ArrayBuilder>), ProtocolError> {
    if peek != Peek::Array {
        return Err(ProtocolError::bad_request("`data` of `dataframe_split` is not a list of rows"));
    }
    let mut columns: Vec<ArrayBuilder> = Vec::new();
    let mut rows = 0;
    let mut next = json.first_item()?;
    while let Some(peek) = next {
        let mut width = 0;
        let mut cell = |json: &mut JsonReader<'_>, peek: Peek| {
            if rows == 0 {
                check_columns(width + 1)?;
                columns.push(ArrayBuilder::column());
            }
            // Surplus values are counted; the check below rejects the row.
            if let Some(column) = columns.get_mut(width) {
                column.read_row(json, peek, rows)?;
            } else {
                json.skip(peek)?;
            }
            width += 1;
            Ok::<_, ProtocolError>(())
        };
        if peek == Peek::Array {
            let mut next = json.first_item()?;
            while let Some(peek) = next {
                cell(json, peek)?;
                next = json.next_item()?;
            }
        } else {
            cell(json, peek)?;
        }
        if width != columns.len() {
            return Err(ProtocolError::bad_request(format!(
                "row {rows} of `dataframe_split` has {width} values, but row 0 has {}",
                columns.len(),
            )));
        }
        rows += 1;
        next = json.next_item()?;
    }
    Ok((rows, columns))
}
