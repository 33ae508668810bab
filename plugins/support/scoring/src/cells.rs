//! Cells in the order in which they were read, in as little memory as their kinds allow. Never converts to a model's type.

use std::mem;

use crate::json::excerpt;
use crate::text::float_repr;

/// One value of a request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    /// `null`, or `NaN` among values that are no numbers.
    Missing,
    Bool(bool),
    Int(i64),
    /// The digits of an integer beyond `i64`.
    BigInt(Box<str>),
    Float(f64),
    Text(Box<str>),
    /// An object, which no tensor can hold.
    Object,
}

/// Values of a request.
#[derive(Clone, Debug)]
pub(crate) enum Cells {
    /// Integers only.
    Ints(Vec<i64>),
    /// Floats, integers that a float holds exactly, and `NaN` for what is missing.
    Floats(Vec<f64>),
    /// Anything.
    Mixed(Vec<Cell>),
    /// The fields of a CSV file, which may mean a number.
    Csv(Fields),
}

/// Texts one after another, in one allocation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields {
    text: String,
    ends: Vec<usize>,
}

impl Fields {
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

/// `int` as a float, where that changes nothing.
pub(crate) fn exact(int: i64) -> Option<f64> {
    const LARGEST: u64 = 1 << f64::MANTISSA_DIGITS;
    (int.unsigned_abs() <= LARGEST).then_some(int as f64)
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

    /// The values at `first`, `first + step` and so on.
    pub(crate) fn every(&self, step: usize, first: usize) -> Self {
        fn pick<T: Clone>(values: &[T], step: usize, first: usize) -> Vec<T> {
            values.iter().skip(first).step_by(step).cloned().collect()
        }
        match self {
            Self::Ints(values) => Self::Ints(pick(values, step, first)),
            Self::Floats(values) => Self::Floats(pick(values, step, first)),
            Self::Mixed(values) => Self::Mixed(pick(values, step, first)),
            Self::Csv(fields) => {
                let mut picked = Fields::default();
                fields.iter().skip(first).step_by(step).for_each(|field| picked.push(field));
                Self::Csv(picked)
            }
        }
    }

    /// A value for a message.
    pub(crate) fn show(&self, index: usize) -> String {
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
            Some(Cell::BigInt(digits)) => format!("`{}`", excerpt(&digits)),
            Some(Cell::Text(text)) => format!("`{:?}`", excerpt(&text)),
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
            (Self::Floats(values), Cell::Int(int)) if exact(int).is_some() => values.extend(exact(int)),
            (Self::Mixed(values), cell) => values.push(cell),
            (Self::Ints(values), cell @ (Cell::Float(_) | Cell::Missing)) => {
                if let Some(floats) = values.iter().map(|int| exact(*int)).collect() {
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

    /// The cells as those that may be anything.
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
