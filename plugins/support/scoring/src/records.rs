//! Reads dataframes that are lists of objects. Each key is a column. The number of values that the objects may leave
//! out is limited.

use indexmap::IndexMap;
use jiter::Peek;

use crate::array::ArrayBuilder;
use crate::error::ProtocolError;
use crate::frame::{ColumnLabel, Frame, FrameColumn, check_columns};
use crate::json::JsonReader;

/// The maximum number of missing values that are added for keys that an object does not have.
const MAX_ABSENT: usize = 1 << 24;

/// Builds the columns of a dataframe from a list of objects. Each object is a row.
#[derive(Default)]
pub(crate) struct RecordsReader {
    rows: usize,
    columns: IndexMap<String, RecordColumn>,
    absent: usize,
}

struct RecordColumn {
    values: ArrayBuilder,
    /// The number of rows that have been added to the column.
    rows: usize,
}

impl RecordsReader {
    /// Reads a list of objects from `json`. Returns the dataframe.
    pub(crate) fn read(mut self, json: &mut JsonReader<'_>) -> Result<Frame, ProtocolError> {
        let mut next = json.first_item()?;
        while let Some(peek) = next {
            if peek != Peek::Object {
                return Err(ProtocolError::bad_request(format!("row {} of the records is not an object", self.rows)));
            }
            self.record(json)?;
            next = json.next_item()?;
        }
        for index in 0..self.columns.len() {
            self.fill(index)?;
        }
        let Self { rows, columns, .. } = self;
        let column = |(name, column): (String, RecordColumn)| FrameColumn {
            label: ColumnLabel::Name(name),
            data: column.values.finish(Some(rows)),
        };
        Ok(Frame { rows, columns: columns.into_iter().map(column).collect() })
    }

    fn record(&mut self, json: &mut JsonReader<'_>) -> Result<(), ProtocolError> {
        let mut expected = 0;
        json.members(|json, key| {
            let peek = json.peek()?;
            let index = self.column_index(key, expected)?;
            expected = index + 1;
            self.fill(index)?;
            let column = &mut self.columns[index];
            if column.rows > self.rows {
                // The last value of a repeated key counts, as in Python.
                column.values.pop_row(column.rows);
                column.rows = self.rows;
            }
            column.values.read_row(json, peek, self.rows)?;
            column.rows += 1;
            Ok(())
        })?;
        self.rows += 1;
        Ok(())
    }

    /// Returns the index of the column for `key`. Adds the column if it does not exist. Looks at the index `expected`
    /// first, because most objects have the same order of keys.
    fn column_index(&mut self, key: &str, expected: usize) -> Result<usize, ProtocolError> {
        if self.columns.get_index(expected).is_some_and(|(name, _)| name == key) {
            return Ok(expected);
        }
        if let Some(index) = self.columns.get_index_of(key) {
            return Ok(index);
        }
        check_columns(self.columns.len() + 1)?;
        Ok(self.columns.insert_full(key.to_owned(), RecordColumn { values: ArrayBuilder::column(), rows: 0 }).0)
    }

    /// Adds missing values to the column at `index` for all rows before the current row.
    fn fill(&mut self, index: usize) -> Result<(), ProtocolError> {
        let column = &mut self.columns[index];
        for row in column.rows..self.rows {
            self.absent += 1;
            if self.absent > MAX_ABSENT {
                return Err(ProtocolError::bad_request(format!(
                    "more than {MAX_ABSENT} values are missing from the records: send the table as `dataframe_split`",
                )));
            }
            column.values.push_missing(row);
        }
        column.rows = column.rows.max(self.rows);
        Ok(())
    }
}
