//! The flavor `onnx` in the file `MLmodel`, as `mlflow.onnx.save_model` writes it.

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// The flavor `onnx` in the file `MLmodel`.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub(crate) struct OnnxFlavor {
    /// The path of the ONNX file, relative to the model's folder.
    pub(crate) data: String,
    /// The execution providers of ONNX Runtime in the order of preference; empty if the model names none.
    #[serde(default, deserialize_with = "providers")]
    pub(crate) providers: Vec<Provider>,
    /// The session options of ONNX Runtime that were saved with the model, such as `graph_optimization_level`,
    /// `intra_op_num_threads`, `inter_op_num_threads` and `execution_mode`; empty if the model has none.
    #[serde(default, rename = "onnx_session_options", deserialize_with = "map_or_null")]
    pub(crate) session_options: Map<String, Value>,
}

/// An execution provider of ONNX Runtime.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Provider {
    /// The name of the provider, such as `CPUExecutionProvider`.
    pub(crate) name: String,
    /// True if options for the provider were saved with the model. The plugin ignores these options, because they
    /// describe the machine that saved the model.
    pub(crate) has_options: bool,
}

/// Deserializes a list of execution providers, or null. Each entry of the list is a name, or a pair of a name and
/// options.
fn providers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Provider>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum ProviderEntry {
        Name(String),
        WithOptions(String, Map<String, Value>),
    }
    let entries = Option::<Vec<ProviderEntry>>::deserialize(deserializer)?.unwrap_or_default();
    let provider = |entry| match entry {
        ProviderEntry::Name(name) => Provider { name, has_options: false },
        ProviderEntry::WithOptions(name, options) => Provider { name, has_options: !options.is_empty() },
    };
    Ok(entries.into_iter().map(provider).collect())
}

fn map_or_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Map<String, Value>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
