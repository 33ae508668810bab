//! Sends a model of any flavor that Python runs, for Triton's backend `python`. The server's Python needs the packages of
//! the model and MLflow.

use std::path::Path;

use mlflow_deploy_plugin_api::{Error, Result};
use mlflow_deploy_scoring::{ColumnType, DType, Schema};
use serde_json::{Map, Value, json};

use super::body::LoadBody;
use super::files;
use super::mlmodel::Mlmodel;
use crate::datatype::Datatype;

/// The name of the flavor in MLflow.
pub(super) const FLAVOR: &str = "python_function";

/// The program that the backend runs. It loads the model from the folder `mlflow` beside it.
const PROGRAM: &str = include_str!("model.py");

/// Adds the program and all files of the model. Returns the flavor's part of the model configuration: the inputs and the
/// outputs of the model's signature, unless `config` has them.
pub(super) fn add(
    body: &mut LoadBody,
    folder: &Path,
    model: &Mlmodel,
    config: &Map<String, Value>,
) -> Result<Map<String, Value>> {
    body.add("model.py", PROGRAM.as_bytes())?;
    for file in files::list(folder)? {
        files::add(body, folder, &file, &format!("mlflow/{file}"))?;
    }
    let mut own = json!({"backend": "python"});
    if !(config.contains_key("input") && config.contains_key("output")) {
        let (inputs, outputs) = model.schemas()?.ok_or_else(|| {
            Error::invalid_parameter(
                "the model has no signature with inputs and outputs, which Triton needs: log the model with a \
                 signature, or set `input` and `output` in the config's `config`",
            )
        })?;
        own["input"] = tensors(&inputs, "input")?;
        own["output"] = tensors(&outputs, "output")?;
    }
    Ok(own.as_object().cloned().unwrap_or_default())
}

/// Returns the tensors of Triton's model configuration for the inputs or the outputs of a signature. `kind` is the start
/// of the name of a tensor without a name, such as `input-0`.
fn tensors(schema: &Schema, kind: &str) -> Result<Value> {
    let tensor = |index: usize, name: &Option<String>, dtype: DType, dims: Vec<i64>| {
        let name = name.clone().unwrap_or_else(|| format!("{kind}-{index}"));
        let datatype = match Datatype::of(dtype) {
            Datatype::Bytes => "STRING",
            other => other.name(),
        };
        json!({"name": name, "data_type": format!("TYPE_{datatype}"), "dims": dims})
    };
    match schema {
        Schema::Columns(columns) => {
            let columns = columns.iter().enumerate().map(|(index, column)| match &column.kind {
                // The values of a time are sent as the text of the request.
                ColumnType::Scalar(scalar) if scalar.dtype() == DType::Datetime => {
                    Ok(tensor(index, &column.name, DType::String, vec![-1]))
                }
                ColumnType::Scalar(scalar) => Ok(tensor(index, &column.name, scalar.dtype(), vec![-1])),
                ColumnType::Any | ColumnType::Array(_) | ColumnType::Other(_) => Err(Error::invalid_parameter(format!(
                    "the {kind} `{}` of the model is neither a tensor nor a column of single values: set `input` and \
                     `output` in the config's `config`",
                    column.name.as_deref().unwrap_or_default()
                ))),
            });
            columns.collect()
        }
        Schema::Tensors(tensors) => Ok(tensors
            .iter()
            .enumerate()
            .map(|(index, spec)| {
                let dims = spec.shape.iter().map(|size| size.and_then(|size| i64::try_from(size).ok()).unwrap_or(-1));
                tensor(index, &spec.name, spec.dtype, dims.collect())
            })
            .collect()),
    }
}
