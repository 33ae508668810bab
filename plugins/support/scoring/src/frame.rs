//! Dataframes as a request writes them: `dataframe_split`, `dataframe_records`, CSV. Never looks at a signature.

use std::iter;
use std::ops::Range;

use jiter::Peek;

use crate::array::{Array, Builder};
use crate::cells::{Cells, Fields};
use crate::fault::Fault;
use crate::json::{Json, excerpt};
use crate::records::Records;

/// More columns than any model takes.
const MOST_COLUMNS: usize = 1 << 18;

/// Columns of equal length.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) rows: usize,
    pub(crate) columns: Vec<Column>,
}

/// A column of a frame.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) label: Label,
    pub(crate) data: Array,
}

/// What a column is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Label {
    Name(String),
    /// What is no string, such as the place of a column without a name. It is never the name of a signature's column.
    Other(String),
}

impl Label {
    /// The label as text.
    pub(crate) fn into_text(self) -> String {
        match self {
            Self::Name(text) | Self::Other(text) => text,
        }
    }

    /// The label as text.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Name(text) | Self::Other(text) => text,
        }
    }
}

impl Frame {
    /// Reads the value of `dataframe_split`: an object of `data`, and of `columns` and `index` where it has them.
    pub(crate) fn read_split(text: &str, part: Range<usize>) -> Result<Self, Fault> {
        let mut json = Json::new(text, part);
        if json.peek()? != Peek::Object {
            return Err(Fault::bad_request("`dataframe_split` is not an object of `columns` and `data`"));
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
                    return Err(Fault::bad_request(format!(
                        "`dataframe_split` has a member `{}`, where it may have `columns`, `data` and `index`",
                        excerpt(key),
                    )));
                }
            }
            Ok(())
        })?;
        let (rows, builders) = data.ok_or_else(|| Fault::bad_request("`dataframe_split` has no `data`"))?;
        let labels = labels.unwrap_or_else(|| (0..builders.len()).map(|at| Label::Other(at.to_string())).collect());
        if rows > 0 && labels.len() != builders.len() {
            return Err(Fault::bad_request(format!(
                "`dataframe_split` has {} names in `columns`, and {} values in each row of `data`",
                labels.len(),
                builders.len(),
            )));
        }
        let builders = builders.into_iter().map(Some).chain(iter::repeat_with(|| None));
        let column = |(label, builder): (Label, Option<Builder>)| Column {
            label,
            data: builder.unwrap_or_else(Builder::column).finish(Some(rows)),
        };
        Ok(Self { rows, columns: labels.into_iter().zip(builders).map(column).collect() })
    }

    /// Reads the value of `dataframe_records`: a list of objects, one a row.
    pub(crate) fn read_records(text: &str, part: Range<usize>) -> Result<Self, Fault> {
        let mut json = Json::new(text, part);
        if json.peek()? != Peek::Array {
            return Err(Fault::bad_request("`dataframe_records` is not a list of objects"));
        }
        Records::default().read(&mut json)
    }

    /// Reads a CSV file with a header.
    pub(crate) fn read_csv(text: &str) -> Result<Self, Fault> {
        let broken = |why: String| Fault::bad_request(format!("the body is not valid CSV: {why}"));
        let mut reader = csv::ReaderBuilder::new().from_reader(text.as_bytes());
        let header = reader.headers().map_err(|error| broken(unequal(&error)))?;
        let labels: Vec<_> = header.iter().map(|name| Label::Name(name.to_owned())).collect();
        if labels.is_empty() {
            return Err(broken("it is empty, where a line with the names of the columns was expected".to_owned()));
        }
        check_columns(labels.len())?;
        let mut fields: Vec<_> = iter::repeat_with(Fields::default).take(labels.len()).collect();
        let mut record = csv::StringRecord::new();
        let mut rows = 0;
        while reader.read_record(&mut record).map_err(|error| broken(unequal(&error)))? {
            for (fields, field) in fields.iter_mut().zip(&record) {
                fields.push(field);
            }
            rows += 1;
        }
        let column = |(label, fields)| Column {
            label,
            data: Array { shape: vec![rows], cells: Cells::Csv(fields), uneven: None },
        };
        Ok(Self { rows, columns: labels.into_iter().zip(fields).map(column).collect() })
    }
}

/// What is wrong with a CSV file: the text is UTF-8 and in memory, so that only its lines can be.
fn unequal(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
            let line = pos.as_ref().map_or(0, csv::Position::line);
            let fields = if *len == 1 { "field" } else { "fields" };
            format!("line {line} has {len} {fields}, and the header has {expected_len}")
        }
        _ => error.to_string(),
    }
}

/// Refuses what is more than a model takes.
pub(crate) fn check_columns(columns: usize) -> Result<(), Fault> {
    if columns > MOST_COLUMNS {
        return Err(Fault::bad_request(format!("the dataframe has more than {MOST_COLUMNS} columns")));
    }
    Ok(())
}

fn read_labels(json: &mut Json<'_>, peek: Peek) -> Result<Vec<Label>, Fault> {
    if peek != Peek::Array {
        return Err(Fault::bad_request("`columns` of `dataframe_split` is not a list of names"));
    }
    let mut labels = Vec::new();
    let mut next = json.first_item()?;
    while let Some(peek) = next {
        labels.push(match peek {
            Peek::String => Label::Name(json.string()?),
            _ => Label::Other(json.raw(peek)?.to_owned()),
        });
        check_columns(labels.len())?;
        next = json.next_item()?;
    }
    Ok(labels)
}

/// Rows of equal length; a row that is no list is its only value.
fn read_rows(json: &mut Json<'_>, peek: Peek) -> Result<(usize, Vec<Builder>), Fault> {
    if peek != Peek::Array {
        return Err(Fault::bad_request("`data` of `dataframe_split` is not a list of rows"));
    }
    let mut columns: Vec<Builder> = Vec::new();
    let mut rows = 0;
    let mut next = json.first_item()?;
    while let Some(peek) = next {
        let mut width = 0;
        let mut cell = |json: &mut Json<'_>, peek: Peek| {
            if rows == 0 {
                check_columns(width + 1)?;
                columns.push(Builder::column());
            }
            // What is too much is counted, and refused below.
            if let Some(column) = columns.get_mut(width) {
                column.row(json, peek, rows)?;
            } else {
                json.skip(peek)?;
            }
            width += 1;
            Ok::<_, Fault>(())
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
            return Err(Fault::bad_request(format!(
                "row {rows} of `dataframe_split` has {width} values, where row 0 has {}",
                columns.len(),
            )));
        }
        rows += 1;
        next = json.next_item()?;
    }
    Ok((rows, columns))
}
