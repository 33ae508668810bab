//! The input example that was saved with a model, as a request of the scoring protocol. Never reads what is inside it.

use mlflow_deploy_plugin_api::{Error, Result};
use serde::Deserialize;

use super::mlmodel::{Model, text};

/// `saved_input_example_info` of `MLmodel`.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub(super) struct SavedExample {
    /// The example as MLflow read it, relative to the model's folder.
    artifact_path: String,
    /// The example as a request; models of older versions have none.
    #[serde(default)]
    serving_input_path: Option<String>,
    /// `dataframe`, `ndarray`, `json_object`, `sparse_matrix_csc` or `sparse_matrix_csr`.
    #[serde(default, rename = "type")]
    kind: String,
}

impl Model {
    /// The saved input example as the JSON body of a request; `None` where the model has none that a request can say.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` where a file that the model names cannot be read, or lies outside of its folder.
    pub(crate) fn input_example(&self) -> Result<Option<String>> {
        let Some(example) = &self.example else { return Ok(None) };
        let read = |relative: &str| {
            let path = self.file(relative)?;
            text(&path).map_err(|error| {
                Error::invalid_parameter(format!("failed to read the model's input example `{relative}`: {error}"))
            })
        };
        if let Some(relative) = &example.serving_input_path {
            return read(relative).map(Some);
        }
        Ok(match example.kind.as_str() {
            "dataframe" => Some(format!(r#"{{"dataframe_split": {}}}"#, read(&example.artifact_path)?)),
            "ndarray" => {
                let saved = read(&example.artifact_path)?;
                // MLflow 1 and 2 saved a request, and MLflow 3 saves the array.
                let is_request = saved.trim_start().starts_with('{') && saved.contains(r#""inputs""#);
                Some(if is_request { saved } else { format!(r#"{{"inputs": {saved}}}"#) })
            }
            _ => None,
        })
    }
}
