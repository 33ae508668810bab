//! Predictions as a dataframe: the rows and columns that `pandas.DataFrame` makes of them, as an arrow record batch.
//! Never mixes shapes: what pandas refuses is an error, and so are rows of which some are lists and some are not.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Field, Schema};
use indexmap::{IndexMap, IndexSet};

use super::column::{Column, texts};
use super::response::PredictionsFormat;
use super::value::Value;
use crate::TargetError;

/// pyarrow's name of a column that was an index without a name.
const INDEX: &str = "__index_level_0__";

/// 2 GiB of numbers. A few MiB of JSON can ask for a million times that: one long row, and many that are empty.
const MOST_CELLS: usize = 1 << 28;

/// The dataframe that pandas makes of the predictions: of a list one column, of lists or dicts a row each, of a dict a
/// column for each key. In arrow's words its dtypes are `Boolean`, `Float64`, `Int64`, `UInt64`, `Utf8` for `str`, and
/// `Utf8` with the extension type `arrow.json` for `object`.
///
/// Source: `PredictionsResponse.get_predictions("dataframe")` and `pandas.DataFrame`.
impl PredictionsFormat for RecordBatch {
    fn from_predictions(predictions: &Value) -> Result<Self, TargetError> {
        match predictions {
            Value::Null => batch(Vec::new(), 0, None),
            Value::String(_) => batch(vec![Column::repeated("0", predictions, 1)], 1, None),
            Value::Array(items) => match items.first() {
                None => batch(Vec::new(), 0, None),
                Some(Value::Array(_)) => lists(items),
                Some(Value::Object(_)) => records(items),
                Some(_) => batch(vec![Column::new("0", items.iter().map(Some).collect())], items.len(), None),
            },
            Value::Object(columns) => dict(columns),
            Value::Bool(_) | Value::Int(_) | Value::BigInt(_) | Value::Float(_) => {
                Err(TargetError::invalid_parameter(format!(
                    "expected predictions with rows or columns, found `{}`: ask for an array",
                    predictions.excerpt()
                )))
            }
        }
    }
}

/// Rows that are lists. Short ones are filled with nulls.
fn lists<'a>(items: &'a [Value]) -> Result<RecordBatch, TargetError> {
    let row = |(index, item): (usize, &'a Value)| match item {
        Value::Array(row) => Ok(row),
        other => Err(no_row(index, "list", other)),
    };
    let rows = items.iter().enumerate().map(row).collect::<Result<Vec<_>, _>>()?;
    let width = rows.iter().map(|row| row.len()).max().unwrap_or_default();
    room_for(width, rows.len())?;
    let column = |at: usize| {
        let cells = rows.iter().map(|row| Some(row.get(at).unwrap_or(&Value::Null))).collect();
        Column::new(at.to_string(), cells)
    };
    batch((0..width).map(column).collect(), rows.len(), None)
}

/// Rows that are dicts. Their keys are the columns, in the order in which they appear.
fn records(items: &[Value]) -> Result<RecordBatch, TargetError> {
    let mut columns = IndexMap::new();
    for (index, item) in items.iter().enumerate() {
        let Value::Object(row) = item else { return Err(no_row(index, "dict", item)) };
        for (name, value) in row {
            room_for(columns.len(), items.len())?;
            columns.entry(name).or_insert_with(|| vec![None; items.len()])[index] = Some(value);
        }
    }
    batch(columns.into_iter().map(|(name, cells)| Column::new(name, cells)).collect(), items.len(), None)
}

/// Columns by their names: lists of one length, or dicts that say the rows' names, and scalars that fill every row.
fn dict<'a>(columns: &'a IndexMap<String, Value>) -> Result<RecordBatch, TargetError> {
    let mut list: Option<(&str, usize)> = None;
    let mut index: Option<(&str, IndexSet<&str>)> = None;
    for (name, column) in columns {
        match column {
            Value::Array(items) => {
                let (first, length) = *list.get_or_insert((name, items.len()));
                if items.len() != length {
                    return Err(TargetError::invalid_parameter(format!(
                        "expected lists of one length, found {length} values in `{first}` and {} in `{name}`",
                        items.len()
                    )));
                }
            }
            Value::Object(cells) => {
                let (_, names) = index.get_or_insert_with(|| (name, IndexSet::new()));
                names.extend(cells.keys().map(String::as_str));
            }
            _ => {}
        }
    }
    let (rows, index) = match (list, index) {
        (Some((list, _)), Some((dict, _))) => {
            return Err(TargetError::invalid_parameter(format!(
                "expected columns that are all lists or all dicts, found the list `{list}` and the dict `{dict}`"
            )));
        }
        (Some((_, length)), None) => (length, None),
        (None, Some((_, names))) => (names.len(), Some(names)),
        (None, None) => (1, None),
    };
    room_for(columns.len(), rows)?;
    let column = |(name, column): (&'a String, &'a Value)| match column {
        Value::Array(items) => Column::new(name, items.iter().map(Some).collect()),
        Value::Object(cells) => Column::new(name, index.iter().flatten().map(|row| cells.get(*row)).collect()),
        scalar => Column::repeated(name, scalar, rows),
    };
    batch(columns.iter().map(column).collect(), rows, index.as_ref())
}

fn room_for(columns: usize, rows: usize) -> Result<(), TargetError> {
    if columns.saturating_mul(rows) > MOST_CELLS {
        return Err(TargetError::invalid_parameter(format!(
            "the predictions would fill {columns} columns of {rows} cells, and a dataframe has at most {MOST_CELLS}: ask for \
             JSON"
        )));
    }
    Ok(())
}

/// The record batch, with the names of the rows as its last column where they have names.
fn batch(columns: Vec<Column<'_>>, rows: usize, index: Option<&IndexSet<&str>>) -> Result<RecordBatch, TargetError> {
    let mut fields = Vec::new();
    let mut arrays: Vec<ArrayRef> = Vec::new();
    for column in columns {
        let (field, array) = column.into_arrow()?;
        fields.push(field);
        arrays.push(array);
    }
    if let Some(names) = index {
        fields.push(Field::new(INDEX, DataType::Utf8, true));
        arrays.push(Arc::new(texts(INDEX, names.iter().map(Some).collect())?));
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
        .map_err(|error| TargetError::invalid_parameter(format!("failed to make a dataframe: {error}")))
}

fn no_row(index: usize, kind: &str, found: &Value) -> TargetError {
    TargetError::invalid_parameter(format!(
        "expected a {kind} as row {index}, as row 0 is one, found `{}`: ask for an array",
        found.excerpt()
    ))
}
