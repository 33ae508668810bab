//! Reads `saved_input_example_info` of `MLmodel`, which contains the file and the form of the input example.

use mlflow_deploy_scoring::InputExampleKind;
use serde::Deserialize;

/// The input example that was saved with a model.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub(super) struct SavedExample {
    /// The path of the example as MLflow read it, relative to the model's folder.
    artifact_path: String,
    /// The path of the example in the form of a request; `None` for models that older versions of MLflow saved.
    #[serde(default)]
    serving_input_path: Option<String>,
    /// The type of the example: `dataframe`, `ndarray`, `json_object`, `sparse_matrix_csc` or `sparse_matrix_csr`.
    #[serde(default, rename = "type")]
    kind: String,
}

/// The file of an input example.
pub(super) enum ExampleFile<'a> {
    /// The path of the example in the form of a request.
    Request(&'a str),
    /// The path of the example in the form that MLflow saved, and its kind.
    Saved(&'a str, InputExampleKind),
}

impl SavedExample {
    /// Returns the file to read; `None` if no request can express the example.
    pub(super) fn file(&self) -> Option<ExampleFile<'_>> {
        if let Some(path) = &self.serving_input_path {
            return Some(ExampleFile::Request(path));
        }
        InputExampleKind::from_name(&self.kind).map(|kind| ExampleFile::Saved(&self.artifact_path, kind))
    }
}
