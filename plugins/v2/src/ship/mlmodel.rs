//! Reads the parts of the file `MLmodel` that determine how a model is sent: its flavors and its signature.

use std::path::Path;

use mlflow_deploy_plugin_api::{Error, Result, file};
use mlflow_deploy_scoring::{Schema, Signature};
use serde::Deserialize;
use serde_json::{Map, Value};

/// The maximum size of the file `MLmodel`, in bytes.
const MAX_BYTES: u64 = 16 << 20;

/// The parts of the file `MLmodel` that this plugin reads.
#[derive(Debug, Deserialize)]
pub(super) struct Mlmodel {
    #[serde(default)]
    pub(super) flavors: Map<String, Value>,
    #[serde(default)]
    signature: Option<SavedSignature>,
}

/// The key `signature`. Each field is a string that contains a JSON document.
#[derive(Debug, Deserialize)]
struct SavedSignature {
    #[serde(default)]
    inputs: Option<String>,
    #[serde(default)]
    outputs: Option<String>,
}

impl Mlmodel {
    /// Reads the file in a model's folder.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if the folder has no such file, or if the file is not valid.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let failed = |reason: String| {
            Error::invalid_parameter(format!("failed to read `MLmodel` in `{}`: {reason}", folder.display()))
        };
        let text = file::read_text(&folder.join("MLmodel"), MAX_BYTES).map_err(|error| failed(error.to_string()))?;
        // The snippet is left out, because an error is one line.
        let options = serde_saphyr::options! { with_snippet: false };
        serde_saphyr::from_str_with_options(&text, options).map_err(|error| failed(error.to_string()))
    }

    /// Returns the inputs and the outputs of the signature. Returns `None` if the model was saved without one of them.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if the signature is not valid.
    pub(super) fn schemas(&self) -> Result<Option<(Schema, Schema)>> {
        let read = |json: &Option<String>| {
            let signature = Signature::from_json(json.as_deref(), None);
            signature.map(|signature| signature.inputs).map_err(|error| {
                Error::invalid_parameter(format!("the signature of the model cannot be read: {error}"))
            })
        };
        let Some(saved) = &self.signature else { return Ok(None) };
        Ok(read(&saved.inputs)?.zip(read(&saved.outputs)?))
    }
}
