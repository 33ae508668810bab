//! Converts one column of a dataframe to an arrow array of its dtype, which `infer_dtype.rs` chooses. Values of dtype
//! `object` become JSON text.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, UInt64Array};
use arrow_schema::Field;
use arrow_schema::extension::{EXTENSION_TYPE_METADATA_KEY, EXTENSION_TYPE_NAME_KEY};
use mlflow_deploy_plugin_api::Error as TargetError;

use super::infer_dtype::{NumpyDtype, ValueKinds};
use super::value::Value;

/// One value of a dataframe's column; `None` for a missing value.
pub(super) type ColumnCell<'a> = Option<&'a Value>;

/// A column of a dataframe before its conversion to an arrow array.
pub(super) struct ArrowColumn<'a> {
    name: String,
    cells: Vec<ColumnCell<'a>>,
    dtype: NumpyDtype,
}

impl<'a> ArrowColumn<'a> {
    /// Creates a column with this name and these values.
    pub(super) fn new(name: impl Into<String>, cells: Vec<ColumnCell<'a>>) -> Self {
        let dtype = ValueKinds::new(cells.iter().copied()).pandas();
        Self { name: name.into(), cells, dtype }
    }

    /// Creates a column with the same value in each row. A column without rows still has the dtype of the value.
    pub(super) fn repeated(name: &str, value: &'a Value, rows: usize) -> Self {
        let dtype = ValueKinds::new([Some(value)]).pandas();
        Self { name: name.to_owned(), cells: vec![Some(value); rows], dtype }
    }

    /// Converts the column to an arrow array and its field.
    pub(super) fn into_arrow(self) -> Result<(Field, ArrayRef), TargetError> {
        let cells = self.cells.iter().copied();
        let array: ArrayRef = match self.dtype {
            NumpyDtype::Bool => Arc::new(cells.map(as_bool).collect::<BooleanArray>()),
            NumpyDtype::Float64 => Arc::new(cells.map(|cell| cell?.as_f64()).collect::<Float64Array>()),
            NumpyDtype::Int64 => Arc::new(cells.map(as_i64).collect::<Int64Array>()),
            NumpyDtype::Uint64 => Arc::new(cells.map(as_u64).collect::<UInt64Array>()),
            NumpyDtype::Str => Arc::new(string_array(&self.name, cells.map(as_str).collect())?),
            NumpyDtype::Object => Arc::new(string_array(&self.name, cells.map(as_json).collect())?),
        };
        let field = Field::new(self.name, array.data_type().clone(), true);
        if self.dtype == NumpyDtype::Object {
            let json = [(EXTENSION_TYPE_NAME_KEY, "arrow.json"), (EXTENSION_TYPE_METADATA_KEY, "")];
            let json = json.map(|(key, value)| (key.to_owned(), value.to_owned()));
            return Ok((field.with_metadata(HashMap::from(json)), array));
        }
        Ok((field, array))
    }
}

/// Builds an array of strings. Fails if their total length is larger than arrow's `Utf8` allows.
pub(super) fn string_array<T: AsRef<str>>(name: &str, values: Vec<Option<T>>) -> Result<StringArray, TargetError> {
    let bytes: usize = values.iter().flatten().map(|text| text.as_ref().len()).sum();
    if i32::try_from(bytes).is_err() {
        let message = format!("expected at most {} bytes in the column `{name}`, found {bytes}", i32::MAX);
        return Err(TargetError::invalid_parameter(message));
    }
    Ok(values.into_iter().collect())
}

fn as_bool(cell: ColumnCell<'_>) -> Option<bool> {
    match cell {
        Some(Value::Bool(bool)) => Some(*bool),
        _ => None,
    }
}

fn as_i64(cell: ColumnCell<'_>) -> Option<i64> {
    match cell {
        Some(Value::Int(int)) => Some(*int),
        _ => None,
    }
}

fn as_u64(cell: ColumnCell<'_>) -> Option<u64> {
    match cell {
        Some(Value::Int(int)) => u64::try_from(*int).ok(),
        Some(Value::BigInt(digits)) => digits.parse().ok(),
        _ => None,
    }
}

fn as_str(cell: ColumnCell<'_>) -> Option<&str> {
    match cell {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}

/// Returns the JSON of the value; `None` for values that pandas treats as missing.
fn as_json(cell: ColumnCell<'_>) -> Option<String> {
    match cell {
        None | Some(Value::Null) => None,
        Some(Value::Float(float)) if float.is_nan() => None,
        Some(value) => Some(value.to_string()),
    }
}
