//! The protocol from its other side: inputs as a request, and an answer as outputs, for models that a server runs.

use mlflow_deploy_plugin_api::JSON;

use crate::fault::Fault;
use crate::read::{Inputs, read};
use crate::write::{Layout, Output, write, write_value};

/// Writes inputs as a request in JSON that is read as the same inputs.
pub fn write_request(inputs: Inputs) -> String {
    let outputs = |columns: Vec<_>| columns.into_iter().map(|(name, tensor)| (name, Output::Tensor(tensor))).collect();
    let (key, values): (_, Vec<(String, Output)>) = match inputs {
        Inputs::Frame(columns) => ("dataframe_records", outputs(columns)),
        Inputs::Named(tensors) => ("inputs", outputs(tensors)),
        Inputs::Single(tensor) => return format!("{{\"inputs\": {}}}", write_value(&Output::Tensor(tensor))),
    };
    let layout = if key == "inputs" { Layout::Named } else { Layout::Records };
    write(&values, layout).replacen("predictions", key, 1)
}

/// Reads the answer to a request: an output for each name, or one that is called `predictions`.
///
/// # Errors
/// `BAD_REQUEST` where it is none, or holds something else than rows of numbers, truth values and texts.
pub fn read_predictions(body: &[u8]) -> Result<Vec<(String, Output)>, Fault> {
    const KEY: &str = r#"{"predictions":"#;
    let text = str::from_utf8(body).ok().and_then(|text| text.trim_start().strip_prefix(KEY));
    let rest = text.ok_or_else(|| Fault::bad_request("the model's answer has no `predictions`"))?;
    let answered = read(JSON, format!(r#"{{"inputs":{rest}"#).as_bytes(), None).map_err(|fault| {
        Fault::bad_request(format!("the model's predictions are no rows of values: {}", fault.message))
    })?;
    Ok(match answered {
        Inputs::Frame(columns) | Inputs::Named(columns) => {
            columns.into_iter().map(|(name, tensor)| (name, Output::Tensor(tensor))).collect()
        }
        Inputs::Single(tensor) => vec![("predictions".to_owned(), Output::Tensor(tensor))],
    })
}
