//! The values of a request in a compact form. They keep the types of the request; `convert` converts them to the types
//! of the model.

use std::mem;

use crate::message::shorten;
use crate::python::float_repr;

/// One value of a request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    /// A missing value: `null`, or `NaN` in an array that also has values that are not numbers.
    Missing,
    Bool(bool),
    Int(i64),
    /// The digits of an integer that is out of the range of `i64`.
    BigInt(Box<str>),
    Float(f64),
    Text(Box<str>),
    /// An object, which tensors cannot hold.
    Object,
}

/// The values of an array or of a column, in row-major order.
#[derive(Clone, Debug)]
pub(crate) enum Cells {
    /// Values that are all integers.
    Ints(Vec<i64>),
    /// Values that are floats, or integers that a float represents exactly. `NaN` is a missing value.
    Floats(Vec<f64>),
    /// Values of more than one type.
    Mixed(Vec<Cell>),
    /// The fields of one column of a CSV file, not yet parsed.
    Csv(CsvFields),
}

/// The fields of one column of a CSV file, stored in a single string.
#[derive(Clone, Debug, Default)]
pub(crate) struct CsvFields {
    text: String,
    ends: Vec<usize>,
}

impl CsvFields {
    pub(crate) fn push(&mut self, field: &str) {
        self.text.push_str(field);
        self.ends.push(self.text.len());
    }

    fn truncate(&mut self, len: usize) {
        self.ends.truncate(len);
        self.text.truncate(self.ends.last().copied().unwrap_or_default());
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &str> + Clone {
        self.ends.iter().enumerate().map(|(index, end)| {
            let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
            &self.text[start..*end]
        })
    }
}

/// Returns `int` as a float, or `None` if a float may not represent it exactly.
fn exact_float(int: i64) -> Option<f64> {
    const MAX_EXACT: u64 = 1 << f64::MANTISSA_DIGITS;
    (int.unsigned_abs() <= MAX_EXACT).then_some(int as f64)
}

impl Default for Cells {
    fn default() -> Self {
        Self::Ints(Vec::new())
    }
}

impl Cells {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Ints(values) => values.len(),
            Self::Floats(values) => values.len(),
            Self::Mixed(values) => values.len(),
            Self::Csv(fields) => fields.ends.len(),
        }
    }

    /// Returns every `step`-th value, beginning with the value at the index `first`.
    pub(crate) fn select(&self, step: usize, first: usize) -> Self {
        fn pick<T: Clone>(values: &[T], step: usize, first: usize) -> Vec<T> {
            values.iter().skip(first).step_by(step).cloned().collect()
        }
        match self {
            Self::Ints(values) => Self::Ints(pick(values, step, first)),
            Self::Floats(values) => Self::Floats(pick(values, step, first)),
            Self::Mixed(values) => Self::Mixed(pick(values, step, first)),
            Self::Csv(fields) => {
                let mut picked = CsvFields::default();
                fields.iter().skip(first).step_by(step).for_each(|field| picked.push(field));
                Self::Csv(picked)
            }
        }
    }

    /// Formats the value at `index` for an error message.
    pub(crate) fn quote(&self, index: usize) -> String {
        let cell = match self {
            Self::Ints(values) => values.get(index).map(|int| Cell::Int(*int)),
            Self::Floats(values) => values.get(index).map(|float| Cell::Float(*float)),
            Self::Mixed(values) => values.get(index).cloned(),
            Self::Csv(fields) => fields.iter().nth(index).map(|field| Cell::Text(field.into())),
        };
        match cell {
            None | Some(Cell::Missing | Cell::Object) => "the value".to_owned(),
            Some(Cell::Bool(truth)) => format!("`{truth}`"),
            Some(Cell::Int(int)) => format!("`{int}`"),
            Some(Cell::Float(float)) if float.is_nan() => "the value".to_owned(),
            Some(Cell::Text(text)) if text.is_empty() => "the value".to_owned(),
            Some(Cell::Float(float)) => format!("`{}`", float_repr(float)),
            Some(Cell::BigInt(digits)) => format!("`{}`", shorten(&digits)),
            Some(Cell::Text(text)) => format!("`{:?}`", shorten(&text)),
        }
    }

    pub(crate) fn truncate(&mut self, len: usize) {
        match self {
            Self::Ints(values) => values.truncate(len),
            Self::Floats(values) => values.truncate(len),
            Self::Mixed(values) => values.truncate(len),
            Self::Csv(fields) => fields.truncate(len),
        }
    }

    pub(crate) fn push(&mut self, cell: Cell) {
        match (&mut *self, cell) {
            (Self::Ints(values), Cell::Int(int)) => values.push(int),
            (Self::Floats(values), Cell::Float(float)) => values.push(float),
            (Self::Floats(values), Cell::Missing) => values.push(f64::NAN),
            (Self::Floats(values), Cell::Int(int)) if exact_float(int).is_some() => values.extend(exact_float(int)),
            (Self::Mixed(values), cell) => values.push(cell),
            (Self::Ints(values), cell @ (Cell::Float(_) | Cell::Missing)) => {
                if let Some(floats) = values.iter().map(|int| exact_float(*int)).collect() {
                    *self = Self::Floats(floats);
                } else {
                    *self = Self::Mixed(mem::take(self).into_mixed());
                }
                self.push(cell);
            }
            (_, cell) => {
                *self = Self::Mixed(mem::take(self).into_mixed());
                self.push(cell);
            }
        }
    }

    /// Converts every value to a [`Cell`].
    fn into_mixed(self) -> Vec<Cell> {
        match self {
            Self::Ints(values) => values.into_iter().map(Cell::Int).collect(),
            Self::Floats(values) => {
                let cell = |float: f64| if float.is_nan() { Cell::Missing } else { Cell::Float(float) };
                values.into_iter().map(cell).collect()
            }
            Self::Mixed(values) => values,
            Self::Csv(fields) => fields.iter().map(|field| Cell::Text(field.into())).collect(),
        }
    }
}
