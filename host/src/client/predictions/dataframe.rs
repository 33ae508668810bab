//! Predictions as a dataframe: the rows and columns of `pandas.DataFrame` as an arrow record batch. Predictions that
//! pandas rejects are errors. Rows of mixed types are errors too.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Field, Schema};
use indexmap::{IndexMap, IndexSet};
use mlflow_deploy_plugin_api::Error as TargetError;

use super::column::{ArrowColumn, string_array};
use super::response::PredictionsFormat;
use super::value::Value;

/// The name that pyarrow gives to the column of an unnamed index.
pub(in crate::client) const INDEX: &str = "__index_level_0__";

/// The maximum number of cells in a dataframe, which take 2 GiB as numbers. Without this limit, a few MiB of JSON with
/// one long row and many empty rows could fill the memory.
const MAX_CELLS: usize = 1 << 28;

/// Converts the predictions to the dataframe that pandas makes from them. A list becomes one column, a list of lists or
/// dicts becomes one row for each of them, and a dict becomes one column for each key. The arrow types are `Boolean`,
/// `Float64`, `Int64`, `UInt64`, `Utf8` for `str`, and `Utf8` with the extension type `arrow.json` for `object`.
///
/// Source: `PredictionsResponse.get_predictions("dataframe")` and `pandas.DataFrame`.
impl PredictionsFormat for RecordBatch {
    fn from_predictions(predictions: &Value) -> Result<Self, TargetError> {
        match predictions {
            Value::Null => batch(Vec::new(), 0, None),
            Value::String(_) => batch(vec![ArrowColumn::repeated("0", predictions, 1)], 1, None),
            Value::Array(items) => match items.first() {
                None => batch(Vec::new(), 0, None),
                Some(Value::Array(_)) => from_lists(items),
                Some(Value::Object(_)) => from_dicts(items),
                Some(_) => batch(vec![ArrowColumn::new("0", items.iter().map(Some).collect())], items.len(), None),
            },
            Value::Object(columns) => from_columns(columns),
            Value::Bool(_) | Value::Int(_) | Value::BigInt(_) | Value::Float(_) => Err(TargetError::invalid_parameter(
                format!("expected predictions with rows or columns, found `{}`: use an array", predictions.shortened()),
            )),
        }
    }
}

/// Builds a dataframe from rows that are lists. Short rows are filled with nulls.
fn from_lists<'a>(items: &'a [Value]) -> Result<RecordBatch, TargetError> {
    let row = |(index, item): (usize, &'a Value)| match item {
        Value::Array(row) => Ok(row),
        other => Err(wrong_row(index, "list", other)),
    };
    let rows = items.iter().enumerate().map(row).collect::<Result<Vec<_>, _>>()?;
    let width = rows.iter().map(|row| row.len()).max().unwrap_or_default();
    check_cells(width, rows.len())?;
    let column = |at: usize| {
        let cells = rows.iter().map(|row| Some(row.get(at).unwrap_or(&Value::Null))).collect();
        ArrowColumn::new(at.to_string(), cells)
    };
    batch((0..width).map(column).collect(), rows.len(), None)
}

/// Builds a dataframe from rows that are dicts. Their keys are the columns, in the order of appearance.
fn from_dicts(items: &[Value]) -> Result<RecordBatch, TargetError> {
    let mut columns = IndexMap::new();
    for (index, item) in items.iter().enumerate() {
        let Value::Object(row) = item else { return Err(wrong_row(index, "dict", item)) };
        for (name, value) in row {
            check_cells(columns.len(), items.len())?;
            columns.entry(name).or_insert_with(|| vec![None; items.len()])[index] = Some(value);
        }
    }
    batch(columns.into_iter().map(|(name, cells)| ArrowColumn::new(name, cells)).collect(), items.len(), None)
}

/// Builds a dataframe from named columns. The columns are lists of the same length, or dicts from row names to values.
/// A scalar becomes a column with the same value in every row.
fn from_columns<'a>(columns: &'a IndexMap<String, Value>) -> Result<RecordBatch, TargetError> {
    let mut list: Option<(&str, usize)> = None;
    let mut index: Option<(&str, IndexSet<&str>)> = None;
    for (name, column) in columns {
        match column {
            Value::Array(items) => {
                let (first, length) = *list.get_or_insert((name, items.len()));
                if items.len() != length {
                    return Err(TargetError::invalid_parameter(format!(
                        "expected lists of equal length, found {length} values in `{first}` and {} in `{name}`",
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
    check_cells(columns.len(), rows)?;
    let column = |(name, column): (&'a String, &'a Value)| match column {
        Value::Array(items) => ArrowColumn::new(name, items.iter().map(Some).collect()),
        Value::Object(cells) => ArrowColumn::new(name, index.iter().flatten().map(|row| cells.get(*row)).collect()),
        scalar => ArrowColumn::repeated(name, scalar, rows),
    };
    batch(columns.iter().map(column).collect(), rows, index.as_ref())
}

/// Fails if a dataframe of this size has more than [`MAX_CELLS`] cells.
fn check_cells(columns: usize, rows: usize) -> Result<(), TargetError> {
    if columns.saturating_mul(rows) > MAX_CELLS {
        return Err(TargetError::invalid_parameter(format!(
            "the predictions have {columns} columns of {rows} cells, but a dataframe has at most {MAX_CELLS}: use JSON"
        )));
    }
    Ok(())
}

/// Builds the record batch of a dataframe. If the rows have names, these become the last column.
fn batch(
    columns: Vec<ArrowColumn<'_>>,
    rows: usize,
    index: Option<&IndexSet<&str>>,
) -> Result<RecordBatch, TargetError> {
    let mut fields = Vec::new();
    let mut arrays: Vec<ArrayRef> = Vec::new();
    for column in columns {
        let (field, array) = column.into_arrow()?;
        fields.push(field);
        arrays.push(array);
    }
    if let Some(names) = index {
        fields.push(Field::new(INDEX, DataType::Utf8, true));
        arrays.push(Arc::new(string_array(INDEX, names.iter().map(Some).collect())?));
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
        .map_err(|error| TargetError::invalid_parameter(format!("failed to build a dataframe: {error}")))
}

fn wrong_row(index: usize, kind: &str, found: &Value) -> TargetError {
    TargetError::invalid_parameter(format!(
        "expected a {kind} in row {index}, as in row 0, found `{}`: use an array",
        found.shortened()
    ))
}
