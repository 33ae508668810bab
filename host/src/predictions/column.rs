//! One column of a dataframe: its dtype as pandas chooses it, and its values as an arrow array. Never fails on a value:
//! what no dtype holds becomes JSON text.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, UInt64Array};
use arrow_schema::Field;
use arrow_schema::extension::{EXTENSION_TYPE_METADATA_KEY, EXTENSION_TYPE_NAME_KEY};

use super::kinds::{Dtype, Kinds};
use super::value::Value;
use crate::TargetError;

/// One value of a column; `None` where there is none.
pub(super) type Cell<'a> = Option<&'a Value>;

/// A column that is not yet an arrow array.
pub(super) struct Column<'a> {
    name: String,
    cells: Vec<Cell<'a>>,
    dtype: Dtype,
}

impl<'a> Column<'a> {
    /// A column of these values.
    pub(super) fn new(name: impl Into<String>, cells: Vec<Cell<'a>>) -> Self {
        let dtype = Kinds::of(cells.iter().copied()).pandas();
        Self { name: name.into(), cells, dtype }
    }

    /// A column that has one value in each row. It has the value's dtype, even where there are no rows.
    pub(super) fn repeated(name: &str, value: &'a Value, rows: usize) -> Self {
        let dtype = Kinds::of([Some(value)]).pandas();
        Self { name: name.to_owned(), cells: vec![Some(value); rows], dtype }
    }

    /// The arrow array, and the field that describes it.
    pub(super) fn into_arrow(self) -> Result<(Field, ArrayRef), TargetError> {
        let cells = self.cells.iter().copied();
        let array: ArrayRef = match self.dtype {
            Dtype::Bool => Arc::new(cells.map(as_bool).collect::<BooleanArray>()),
            Dtype::Float64 => Arc::new(cells.map(|cell| cell?.as_f64()).collect::<Float64Array>()),
            Dtype::Int64 => Arc::new(cells.map(as_i64).collect::<Int64Array>()),
            Dtype::Uint64 => Arc::new(cells.map(as_u64).collect::<UInt64Array>()),
            Dtype::Str => Arc::new(texts(&self.name, cells.map(as_str).collect())?),
            Dtype::Object => Arc::new(texts(&self.name, cells.map(as_json).collect())?),
        };
        let field = Field::new(self.name, array.data_type().clone(), true);
        if self.dtype == Dtype::Object {
            let json = [(EXTENSION_TYPE_NAME_KEY, "arrow.json"), (EXTENSION_TYPE_METADATA_KEY, "")];
            let json = json.map(|(key, value)| (key.to_owned(), value.to_owned()));
            return Ok((field.with_metadata(HashMap::from(json)), array));
        }
        Ok((field, array))
    }
}

/// An array of texts, unless they are more than arrow's `Utf8` can count.
pub(super) fn texts<T: AsRef<str>>(name: &str, texts: Vec<Option<T>>) -> Result<StringArray, TargetError> {
    let bytes: usize = texts.iter().flatten().map(|text| text.as_ref().len()).sum();
    if i32::try_from(bytes).is_err() {
        let message = format!("expected at most {} bytes in the column `{name}`, found {bytes}", i32::MAX);
        return Err(TargetError::invalid_parameter(message));
    }
    Ok(texts.into_iter().collect())
}

fn as_bool(cell: Cell<'_>) -> Option<bool> {
    match cell {
        Some(Value::Bool(bool)) => Some(*bool),
        _ => None,
    }
}

fn as_i64(cell: Cell<'_>) -> Option<i64> {
    match cell {
        Some(Value::Int(int)) => Some(*int),
        _ => None,
    }
}

fn as_u64(cell: Cell<'_>) -> Option<u64> {
    match cell {
        Some(Value::Int(int)) => u64::try_from(*int).ok(),
        Some(Value::BigInt(digits)) => digits.parse().ok(),
        _ => None,
    }
}

fn as_str(cell: Cell<'_>) -> Option<&str> {
    match cell {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}

/// The value's JSON; nothing for what pandas counts as missing.
fn as_json(cell: Cell<'_>) -> Option<String> {
    match cell {
        None | Some(Value::Null) => None,
        Some(Value::Float(float)) if float.is_nan() => None,
        Some(value) => Some(value.to_string()),
    }
}
