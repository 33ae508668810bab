//! The client's side of MLflow's scoring protocol: writes requests to a scoring server, and reads its predictions.

use mlflow_deploy_plugin_api::JSON;

use crate::error::ProtocolError;
use crate::inputs::Inputs;
use crate::read::read_request;
use crate::write::{Layout, Output, write_outputs, write_value};

/// Writes inputs as the JSON body of a request. [`read_request`] reads the same inputs from it.
pub fn write_request(inputs: Inputs) -> String {
    let outputs = |columns: Vec<_>| columns.into_iter().map(|(name, tensor)| (name, Output::Tensor(tensor))).collect();
    let (key, values): (_, Vec<(String, Output)>) = match inputs {
        Inputs::Frame(columns) => ("dataframe_records", outputs(columns)),
        Inputs::Named(tensors) => ("inputs", outputs(tensors)),
        Inputs::Single(tensor) => return format!("{{\"inputs\": {}}}", write_value(&Output::Tensor(tensor))),
    };
    let layout = if key == "inputs" { Layout::Named } else { Layout::Records };
    write_outputs(key, &values, layout)
}

/// Reads the body of a scoring server's answer. Returns each output with its name. An output without a name gets the
/// name `predictions`.
///
/// # Errors
/// Fails with `BAD_REQUEST` if the body has no `predictions`, or if these are not rows of numbers, booleans and
/// strings.
pub fn read_predictions(body: &[u8]) -> Result<Vec<(String, Output)>, ProtocolError> {
    const KEY: &str = r#"{"predictions":"#;
    let text = str::from_utf8(body).ok().and_then(|text| text.trim_start().strip_prefix(KEY));
    let rest = text.ok_or_else(|| ProtocolError::bad_request("the model's answer has no `predictions`"))?;
    let answer = read_request(JSON, format!(r#"{{"inputs":{rest}"#).as_bytes(), None).map_err(|error| {
        ProtocolError::bad_request(format!("the model's predictions are not rows of values: {}", error.message))
    })?;
    Ok(match answer {
        Inputs::Frame(columns) | Inputs::Named(columns) => {
            columns.into_iter().map(|(name, tensor)| (name, Output::Tensor(tensor))).collect()
        }
        Inputs::Single(tensor) => vec![("predictions".to_owned(), Output::Tensor(tensor))],
    })
}
