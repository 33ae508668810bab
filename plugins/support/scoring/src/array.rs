//! Reads nested JSON lists as arrays of any rank. Lists of different lengths are an error only if the model uses them.

use jiter::Peek;

use crate::cells::{Cell, Cells};
use crate::error::ProtocolError;
use crate::json::{JsonReader, MAX_DEPTH};
use crate::message::at_indexes;

/// The values of nested JSON lists, and the shape of these lists.
#[derive(Clone, Debug, Default)]
pub(crate) struct NestedArray {
    /// The size of each dimension, outermost first. In a column of a dataframe, the first dimension is the rows.
    pub(crate) shape: Vec<usize>,
    /// The values in row-major order.
    pub(crate) cells: Cells,
    /// A description of the first value or list that differs from the others in depth or length. `None` if the lists
    /// form an array.
    pub(crate) uneven: Option<String>,
}

impl NestedArray {
    /// Adds an outermost dimension of size 1 to the array.
    pub(crate) fn into_single_row(mut self) -> Self {
        self.shape.insert(0, 1);
        self
    }

    /// Splits a matrix into its columns. Returns at most the first `limit` columns.
    pub(crate) fn into_columns(self, limit: usize) -> Vec<Self> {
        let (rows, columns) = (self.shape.first().copied(), self.shape.get(1).copied().unwrap_or_default());
        let column = |column| Self {
            shape: rows.into_iter().collect(),
            cells: self.cells.select(columns, column),
            uneven: self.uneven.clone(),
        };
        (0..columns.min(limit)).map(column).collect()
    }
}

/// Builds a [`NestedArray`] from JSON, value by value.
#[derive(Debug, Default)]
pub(crate) struct ArrayBuilder {
    cells: Cells,
    /// The size of each dimension, outermost first. A size is `None` until the first list of that dimension has been
    /// read.
    sizes: Vec<Option<usize>>,
    /// The number of lists around each value. `None` until the first value has been read.
    rank: Option<usize>,
    uneven: Option<String>,
}

impl ArrayBuilder {
    /// Creates a builder for a column of a dataframe: an array whose outermost dimension is the rows.
    pub(crate) fn column() -> Self {
        Self { sizes: vec![None], ..Self::default() }
    }

    /// Reads one value or one nested list from `json`, and adds it to the array.
    pub(crate) fn read_value(&mut self, json: &mut JsonReader<'_>, peek: Peek) -> Result<(), ProtocolError> {
        self.read(json, peek, 0)
    }

    /// Reads the value of a column in the row `row`, and adds it to the array.
    pub(crate) fn read_row(&mut self, json: &mut JsonReader<'_>, peek: Peek, row: usize) -> Result<(), ProtocolError> {
        json.at[0] = row;
        self.read(json, peek, 1)
    }

    /// Adds a missing value to a column, in the row `row`.
    pub(crate) fn push_missing(&mut self, row: usize) {
        self.push(Cell::Missing, &[row]);
    }

    /// Removes the last row of a column that has `rows` rows.
    pub(crate) fn pop_row(&mut self, rows: usize) {
        let each = self.cells.len().checked_div(rows).unwrap_or_default();
        self.cells.truncate(self.cells.len() - each);
    }

    /// Returns the array that has been built. For a column, `rows` is its number of rows; otherwise, `rows` is `None`.
    pub(crate) fn finish(mut self, rows: Option<usize>) -> NestedArray {
        if let (Some(rows), Some(outermost)) = (rows, self.sizes.first_mut()) {
            *outermost = Some(rows);
        }
        let shape = self.sizes.into_iter().map(Option::unwrap_or_default).collect();
        NestedArray { shape, cells: self.cells, uneven: self.uneven }
    }

    fn read(&mut self, json: &mut JsonReader<'_>, peek: Peek, depth: usize) -> Result<(), ProtocolError> {
        if peek != Peek::Array {
            if self.uneven.is_some() {
                return json.skip(peek).map(|_| ());
            }
            let cell = json.cell(peek)?;
            self.push(cell, json.at(depth));
            return Ok(());
        }
        if depth == MAX_DEPTH {
            return Err(ProtocolError::bad_request(format!(
                "arrays nest deeper than {MAX_DEPTH}{}",
                at_indexes(json.at(depth))
            )));
        }
        let known = self.sizes.get(depth).copied();
        if known.is_none() {
            if self.rank.is_some() {
                self.mark_uneven("expected a value like the others, got a list", json.at(depth));
            }
            self.sizes.push(None);
        } else if self.rank == Some(depth) {
            self.mark_uneven("expected a value like the others, got a list", json.at(depth));
        }
        let mut count = 0;
        let mut next = json.first_item()?;
        while let Some(peek) = next {
            json.at[depth] = count;
            self.read(json, peek, depth + 1)?;
            count += 1;
            next = json.next_item()?;
        }
        match known.flatten() {
            None => {
                if let Some(size) = self.sizes.get_mut(depth) {
                    *size = Some(count);
                }
            }
            Some(size) if size != count => {
                let difference = format!("expected a list of {size} items like the others, got {count}");
                self.mark_uneven(&difference, json.at(depth));
            }
            Some(_) => {}
        }
        Ok(())
    }

    fn push(&mut self, cell: Cell, at: &[usize]) {
        if *self.rank.get_or_insert(at.len()) == at.len() && self.sizes.len() == at.len() {
            self.cells.push(cell);
        } else {
            self.mark_uneven("expected a list like the others, got a value", at);
        }
    }

    fn mark_uneven(&mut self, difference: &str, at: &[usize]) {
        if self.uneven.is_none() {
            self.uneven = Some(format!("{difference}{}", at_indexes(at)));
        }
    }
}
