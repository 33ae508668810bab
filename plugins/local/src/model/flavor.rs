//! The `onnx` flavor of a model, as `mlflow.onnx.save_model` writes it.

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// The flavor `onnx` of a model.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub(crate) struct OnnxFlavor {
    /// The model's file, relative to the model's folder.
    pub(crate) data: String,
    /// The execution providers in the order of preference; empty if the model names none.
    #[serde(default, deserialize_with = "providers")]
    pub(crate) providers: Vec<Provider>,
    /// `onnx_session_options`: `graph_optimization_level`, `intra_op_num_threads`, `inter_op_num_threads`,
    /// `execution_mode` and others; empty if the model has none.
    #[serde(default, rename = "onnx_session_options", deserialize_with = "map_or_null")]
    pub(crate) session_options: Map<String, Value>,
}

/// An execution provider of ONNX Runtime.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Provider {
    /// The name, such as `CPUExecutionProvider`.
    pub(crate) name: String,
    /// True if the model has options for the provider. They describe the machine that saved the model and are not used.
    pub(crate) has_options: bool,
}

/// Deserializes a list of providers, which may be null. Each provider is a name, or a list of a name and options.
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
