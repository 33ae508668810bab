//! Reads the key `saved_input_example_info` of the file `MLmodel`, which names the file and the format of the model's
//! input example.

use mlflow_deploy_scoring::InputExampleKind;
use serde::Deserialize;

/// The location and the format of the input example that was saved with a model.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub(super) struct SavedExample {
    /// The path of the example in its original format, relative to the model's folder.
    artifact_path: String,
    /// The path of the example in the format of a prediction request; `None` if an old version of MLflow saved the
    /// model.
    #[serde(default)]
    serving_input_path: Option<String>,
    /// The original format of the example: `dataframe`, `ndarray`, `json_object`, `sparse_matrix_csc` or
    /// `sparse_matrix_csr`.
    #[serde(default, rename = "type")]
    kind: String,
}

/// The file to read an input example from.
pub(super) enum ExampleFile<'a> {
    /// The path of a file that has the format of a prediction request.
    Request(&'a str),
    /// The path of a file in the example's original format, and that format.
    Saved(&'a str, InputExampleKind),
}

impl SavedExample {
    /// Returns the file to read. Prefers the file in the format of a prediction request. Returns `None` if the example
    /// cannot be expressed as a prediction request.
    pub(super) fn file(&self) -> Option<ExampleFile<'_>> {
        if let Some(path) = &self.serving_input_path {
            return Some(ExampleFile::Request(path));
        }
        InputExampleKind::from_name(&self.kind).map(|kind| ExampleFile::Saved(&self.artifact_path, kind))
    }
}
