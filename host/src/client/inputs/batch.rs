//! Converts a table to the `dataframe_split` of MLflow's scoring protocol.

use arrow_array::{Array, RecordBatch};
use arrow_schema::Field;
use arrow_schema::extension::EXTENSION_TYPE_NAME_KEY;
use mlflow_deploy_plugin_api::{Error as TargetError, JSON, Payload};

use super::cell;
use crate::client::predictions::{INDEX, Value, parse};

pub(super) fn payload(table: &RecordBatch) -> Result<Payload, TargetError> {
    let (schema, mut names, mut columns, mut index) = (table.schema(), Vec::new(), Vec::new(), None);
    for (field, column) in schema.fields().iter().zip(table.columns()) {
        let cells = cells(field, column)?;
        if field.name() == INDEX {
            index = Some(Value::Array(cells));
        } else {
            names.push(Value::String(field.name().clone()));
            columns.push(cells.into_iter());
        }
    }
    let mut json = "{\"dataframe_split\": {".to_owned();
    if let Some(index) = index {
        json += &format!("\"index\": {index}, ");
    }
    json += &format!("\"columns\": {}, \"data\": [", Value::Array(names));
    for row in 0..table.num_rows() {
        let cells =
            columns.iter_mut().map(|column| column.next().expect("every column has a cell for each row")).collect();
        json += if row == 0 { "" } else { ", " };
        json += &Value::Array(cells).to_string();
    }
    json += "]}}";
    Ok(Payload::new(JSON, json))
}

/// Returns the values of a column as JSON. Fails if a value has no JSON form.
fn cells(field: &Field, column: &dyn Array) -> Result<Vec<Value>, TargetError> {
    let failed = |reason: &str| {
        TargetError::invalid_parameter(format!("failed to write the column `{}` as JSON: {reason}", field.name()))
    };
    let mut cells =
        (0..column.len()).map(|row| cell::value(column, row)).collect::<Result<Vec<_>, _>>().map_err(|other| {
            failed(&format!(
                "expected booleans, numbers, text, dates, bytes, lists or structs, found {other}: cast it first"
            ))
        })?;
    if field.metadata().get(EXTENSION_TYPE_NAME_KEY).is_some_and(|name| name == "arrow.json") {
        for cell in &mut cells {
            if let Value::String(json) = cell {
                *cell = parse(json.as_bytes()).map_err(|error| failed(error.message()))?;
            }
        }
    }
    Ok(cells)
}
