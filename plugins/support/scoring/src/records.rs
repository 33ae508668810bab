//! A dataframe as a list of objects: one column for each key. Never lets what is absent cost more than what is there.

use indexmap::IndexMap;
use jiter::Peek;

use crate::array::Builder;
use crate::fault::Fault;
use crate::frame::{Column, Frame, Label, check_columns};
use crate::json::Json;

/// How many cells may be filled in for what records do not have.
const MOST_ABSENT: usize = 1 << 24;

/// Columns that grow by one object after another.
#[derive(Default)]
pub(crate) struct Records {
    rows: usize,
    columns: IndexMap<String, Growing>,
    absent: usize,
}

struct Growing {
    values: Builder,
    /// How many rows have a value.
    rows: usize,
}

impl Records {
    /// Reads a list of objects.
    pub(crate) fn read(mut self, json: &mut Json<'_>) -> Result<Frame, Fault> {
        let mut next = json.first_item()?;
        while let Some(peek) = next {
            if peek != Peek::Object {
                return Err(Fault::bad_request(format!("row {} of the records is not an object", self.rows)));
            }
            self.record(json)?;
            next = json.next_item()?;
        }
        for place in 0..self.columns.len() {
            self.fill(place)?;
        }
        let Self { rows, columns, .. } = self;
        let column = |(name, column): (String, Growing)| Column {
            label: Label::Name(name),
            data: column.values.finish(Some(rows)),
        };
        Ok(Frame { rows, columns: columns.into_iter().map(column).collect() })
    }

    fn record(&mut self, json: &mut Json<'_>) -> Result<(), Fault> {
        let mut expected = 0;
        json.members(|json, key| {
            let peek = json.peek()?;
            let place = self.place(key, expected)?;
            expected = place + 1;
            self.fill(place)?;
            let column = &mut self.columns[place];
            if column.rows > self.rows {
                // Of a key that comes twice the last value counts, as in Python.
                column.values.forget_last(column.rows);
                column.rows = self.rows;
            }
            column.values.row(json, peek, self.rows)?;
            column.rows += 1;
            Ok(())
        })?;
        self.rows += 1;
        Ok(())
    }

    /// The column of a key; most records have their members in one order.
    fn place(&mut self, key: &str, expected: usize) -> Result<usize, Fault> {
        if self.columns.get_index(expected).is_some_and(|(name, _)| name == key) {
            return Ok(expected);
        }
        if let Some(place) = self.columns.get_index_of(key) {
            return Ok(place);
        }
        check_columns(self.columns.len() + 1)?;
        Ok(self.columns.insert_full(key.to_owned(), Growing { values: Builder::column(), rows: 0 }).0)
    }

    /// Fills a column up to the row that is read.
    fn fill(&mut self, place: usize) -> Result<(), Fault> {
        let column = &mut self.columns[place];
        for row in column.rows..self.rows {
            self.absent += 1;
            if self.absent > MOST_ABSENT {
                return Err(Fault::bad_request(format!(
                    "the records leave out more than {MOST_ABSENT} values: write them as `dataframe_split`",
                )));
            }
            column.values.missing(row);
        }
        column.rows = column.rows.max(self.rows);
        Ok(())
    }
}
