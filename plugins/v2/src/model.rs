//! The metadata of a model: the tensors that it takes and returns.

use serde::{Deserialize, Deserializer};

use crate::datatype::Datatype;

/// The metadata of a model, from `GET /v2/models/NAME`.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct ModelInfo {
    /// The tensors that the model takes. Empty if the server does not know them.
    #[serde(default, deserialize_with = "known_tensors")]
    pub(crate) inputs: Vec<TensorInfo>,
    /// The tensors that the model returns. Empty if the server does not know them.
    #[serde(default, deserialize_with = "known_tensors")]
    pub(crate) outputs: Vec<TensorInfo>,
}

/// The metadata of one tensor.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct TensorInfo {
    pub(crate) name: String,
    pub(crate) datatype: Datatype,
    /// The size of each dimension, outermost first. A negative number stands for any size.
    pub(crate) shape: Vec<i64>,
    #[serde(default)]
    parameters: Option<TensorParameters>,
}

#[derive(Clone, Debug, Deserialize)]
struct TensorParameters {
    #[serde(default)]
    content_type: Option<String>,
}

impl ModelInfo {
    /// Returns true if the server is MLServer, which adds content types to the metadata of tensors.
    pub(crate) fn has_content_types(&self) -> bool {
        !self.inputs.is_empty() && self.inputs.iter().all(|input| input.content_type().is_some())
    }

    /// Returns the metadata of the input `name`.
    pub(crate) fn input(&self, name: &str) -> Option<&TensorInfo> {
        self.inputs.iter().find(|input| input.name == name)
    }
}

impl TensorInfo {
    /// Returns the type that MLServer decodes the tensor to, such as `np` for an array.
    pub(crate) fn content_type(&self) -> Option<&str> {
        self.parameters.as_ref()?.content_type.as_deref()
    }

    /// Returns true if the tensor has the shape in which MLServer describes the columns of a dataframe.
    pub(crate) fn is_column(&self) -> bool {
        self.shape == [-1, 1]
    }
}

/// Deserializes a list of tensors. The list is empty if it is null, or if a tensor is not one of the protocol. A server
/// may pass the metadata of a model on without a check.
fn known_tensors<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<TensorInfo>, D::Error> {
    let tensors = Option::<Vec<serde_json::Value>>::deserialize(deserializer)?.unwrap_or_default();
    let known = tensors.into_iter().map(serde_json::from_value).collect::<Result<_, _>>();
    Ok(known.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_that_are_not_of_the_protocol_are_left_out() {
        let read = |inputs: &str| -> ModelInfo { serde_json::from_str(&format!(r#"{{"inputs": {inputs}}}"#)).unwrap() };
        let known =
            read(r#"[{"name": "x", "datatype": "BF16", "shape": [-1, 3], "parameters": {"content_type": "np"}}]"#);
        assert_eq!((known.inputs[0].datatype, known.inputs[0].shape.as_slice()), (Datatype::BFloat16, &[-1, 3][..]));
        assert!(known.has_content_types() && known.input("x").is_some() && known.outputs.is_empty());
        for unknown in ["null", "[]", r#"[{"name": "x", "datatype": "float", "shape": [1]}]"#, "[{}]"] {
            let info = read(unknown);
            assert!(info.inputs.is_empty() && !info.has_content_types(), "{unknown}");
        }
    }
}
