//! Arrays of any rank, as JSON nests them. Never fails for a shape: an array that nobody asks for may have any.

use jiter::Peek;

use crate::cells::{Cell, Cells};
use crate::fault::Fault;
use crate::json::{DEEPEST, Json};

/// Values and the shape in which they were nested.
#[derive(Clone, Debug, Default)]
pub(crate) struct Array {
    /// The size of each dimension, outermost first; those of a column start with its rows.
    pub(crate) shape: Vec<usize>,
    /// The values, the last dimension running fastest.
    pub(crate) cells: Cells,
    /// Why the values are no array: where the nesting changes.
    pub(crate) uneven: Option<String>,
}

impl Array {
    /// The array as the only item of a list.
    pub(crate) fn in_a_list(mut self) -> Self {
        self.shape.insert(0, 1);
        self
    }

    /// The first columns of a matrix, this many at most.
    pub(crate) fn into_columns(self, most: usize) -> Vec<Self> {
        let (rows, columns) = (self.shape.first().copied(), self.shape.get(1).copied().unwrap_or_default());
        let column = |column| Self {
            shape: rows.into_iter().collect(),
            cells: self.cells.every(columns, column),
            uneven: self.uneven.clone(),
        };
        (0..columns.min(most)).map(column).collect()
    }
}

/// Builds an array from values that come one after another.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    cells: Cells,
    /// The sizes of the dimensions so far; `None` while the first array of a dimension is open.
    sizes: Vec<Option<usize>>,
    /// In how many arrays each value lies, once one has come.
    rank: Option<usize>,
    uneven: Option<String>,
}

impl Builder {
    /// A builder of a column: an array whose outermost dimension is rows.
    pub(crate) fn column() -> Self {
        Self { sizes: vec![None], ..Self::default() }
    }

    /// Reads one value, nested or not.
    pub(crate) fn value(&mut self, json: &mut Json<'_>, peek: Peek) -> Result<(), Fault> {
        self.read(json, peek, 0)
    }

    /// Reads the value of a column's row.
    pub(crate) fn row(&mut self, json: &mut Json<'_>, peek: Peek, row: usize) -> Result<(), Fault> {
        json.at[0] = row;
        self.read(json, peek, 1)
    }

    /// Adds the value of a row that has none.
    pub(crate) fn missing(&mut self, row: usize) {
        self.push(Cell::Missing, &[row]);
    }

    /// Forgets the last of this many rows.
    pub(crate) fn forget_last(&mut self, rows: usize) {
        let each = self.cells.len().checked_div(rows).unwrap_or_default();
        self.cells.truncate(self.cells.len() - each);
    }

    /// The array; one of a column has this many rows.
    pub(crate) fn finish(mut self, rows: Option<usize>) -> Array {
        if let (Some(rows), Some(outermost)) = (rows, self.sizes.first_mut()) {
            *outermost = Some(rows);
        }
        let shape = self.sizes.into_iter().map(Option::unwrap_or_default).collect();
        Array { shape, cells: self.cells, uneven: self.uneven }
    }

    fn read(&mut self, json: &mut Json<'_>, peek: Peek, depth: usize) -> Result<(), Fault> {
        if peek != Peek::Array {
            if self.uneven.is_some() {
                return json.skip(peek).map(|_| ());
            }
            let cell = json.cell(peek)?;
            self.push(cell, json.at(depth));
            return Ok(());
        }
        if depth == DEEPEST {
            return Err(Fault::bad_request(format!("arrays nest deeper than {DEEPEST}{}", place(json.at(depth)))));
        }
        let known = self.sizes.get(depth).copied();
        if known.is_none() {
            if self.rank.is_some() {
                self.refuse("a list is where others are values", json.at(depth));
            }
            self.sizes.push(None);
        } else if self.rank == Some(depth) {
            self.refuse("a list is where others are values", json.at(depth));
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
                self.refuse(&format!("a list has {count} items where others have {size}"), json.at(depth));
            }
            Some(_) => {}
        }
        Ok(())
    }

    fn push(&mut self, cell: Cell, at: &[usize]) {
        if *self.rank.get_or_insert(at.len()) == at.len() && self.sizes.len() == at.len() {
            self.cells.push(cell);
        } else {
            self.refuse("a value is where others are lists", at);
        }
    }

    fn refuse(&mut self, why: &str, at: &[usize]) {
        if self.uneven.is_none() {
            self.uneven = Some(format!("{why}{}", place(at)));
        }
    }
}

/// Where a value is, for a message: its indexes.
pub(crate) fn place(at: &[usize]) -> String {
    let indexes = at.iter().map(|index| format!("[{index}]")).collect::<String>();
    if indexes.is_empty() { indexes } else { format!(" at {indexes}") }
}
