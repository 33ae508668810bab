//! Reads the answers of the protocol, and writes them as MLflow's predictions.

use mlflow_deploy_http::Response;
use mlflow_deploy_plugin_api::{Error, JSON, Payload, Result};
use mlflow_deploy_scoring::{Layout, Output, Tensor, read_tensor, write_predictions};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::inputs::InputForm;
use crate::api::JSON_LENGTH;
use crate::binary;
use crate::datatype::Datatype;
use crate::model::ModelInfo;

/// The content that a response must have, as named in error messages.
const EXPECTED: &str = "outputs of the Open Inference Protocol";

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    outputs: Vec<OutputHead<'a>>,
    #[serde(default)]
    parameters: Option<Parameters>,
}

#[derive(Deserialize)]
struct OutputHead<'a> {
    name: String,
    datatype: String,
    shape: Vec<usize>,
    #[serde(default)]
    parameters: Option<Parameters>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Parameters {
    #[serde(default)]
    binary_data_size: Option<usize>,
    #[serde(default)]
    content_type: Option<String>,
}

/// Converts the response to a prediction to MLflow's predictions.
///
/// A single output has no name, as the array that an MLflow model returns. Several outputs are an object for each row
/// if the inputs are a dataframe, and an object of arrays otherwise.
///
/// # Errors
/// The server's error if the response reports a failure, and `INTERNAL_ERROR` if it is not one of the protocol.
pub(crate) fn read_answer(response: &Response, form: InputForm, model: &ModelInfo) -> Result<Payload> {
    let bytes = response.payload.bytes();
    let length = response.headers.get(JSON_LENGTH).and_then(|length| length.to_str().ok()?.trim().parse().ok());
    let (json, mut binary) = match length {
        None => (bytes, &[][..]),
        Some(length) => bytes
            .split_at_checked(length)
            .ok_or_else(|| response.unexpected(EXPECTED, "the header with the length of its JSON is too large"))?,
    };
    let answer: Answer<'_> = match length {
        None => response.parse(EXPECTED)?,
        Some(_) => serde_json::from_slice(json).map_err(|error| response.unexpected(EXPECTED, &error.to_string()))?,
    };
    let request_type = answer.parameters.unwrap_or_default().content_type;
    let is_only = answer.outputs.len() == 1;
    let mut outputs = Vec::with_capacity(answer.outputs.len());
    for head in answer.outputs {
        let size = head.parameters.as_ref().and_then(|parameters| parameters.binary_data_size);
        let raw = match size.map(|size| binary.split_at_checked(size)) {
            None => None,
            Some(Some((raw, rest))) => {
                binary = rest;
                Some(raw)
            }
            Some(None) => return Err(response.unexpected(EXPECTED, "the tensors in binary are cut")),
        };
        let name = head.name.clone();
        let tensor = tensor(head, raw, model, is_only);
        let tensor = tensor.map_err(|reason| response.unexpected(EXPECTED, &format!("output `{name}`: {reason}")))?;
        outputs.push((name, Output::Tensor(tensor)));
    }
    let layout = match (request_type.as_deref(), outputs.len(), form) {
        (Some("pd"), ..) => Layout::Records,
        (Some("dict"), ..) => Layout::Named,
        (_, 1, _) => Layout::Single,
        (_, _, InputForm::Frame) => Layout::Records,
        _ => Layout::Named,
    };
    if outputs.is_empty() {
        return Err(Error::internal("the server answered without outputs"));
    }
    Ok(Payload::new(JSON, write_predictions(&outputs, layout)))
}

/// Returns the tensor of an output. `raw` are its bytes if it is in binary.
fn tensor(head: OutputHead<'_>, raw: Option<&[u8]>, model: &ModelInfo, is_only: bool) -> Result<Tensor, String> {
    let datatype: Datatype = serde_json::from_value(head.datatype.as_str().into())
        .map_err(|_unknown| format!("unknown type `{}`", head.datatype))?;
    let tensor = match (raw, head.data) {
        (Some(raw), _) => binary::decode(raw, datatype, &head.shape)?,
        (None, Some(data)) => {
            let flat = read_tensor(data.get(), datatype.dtype()).map_err(|error| error.to_string())?;
            let count: usize = flat.shape().iter().product();
            flat.into_shape(&head.shape)
                .ok_or_else(|| format!("it has {count} elements, but the shape {:?}", head.shape))?
        }
        (None, None) => return Err("it has no `data`".to_owned()),
    };
    let content_type = head.parameters.and_then(|parameters| parameters.content_type);
    Ok(without_inner_dimension(tensor, &head.name, content_type.as_deref(), model, is_only))
}

/// Removes the inner dimension of size 1 that MLServer adds to the shape of lists and of arrays with one dimension. The
/// metadata tells if an array has this dimension itself.
fn without_inner_dimension(
    tensor: Tensor,
    name: &str,
    content_type: Option<&str>,
    model: &ModelInfo,
    is_only: bool,
) -> Tensor {
    let &[rows, 1] = tensor.shape() else { return tensor };
    // MLServer counts the outputs of its answers from 1, and those of its metadata from 0.
    let info = model.outputs.iter().find(|output| output.name == name);
    let info = info.or_else(|| model.outputs.first().filter(|_| is_only && model.outputs.len() == 1));
    let is_added = match content_type {
        Some("str" | "base64" | "datetime") => true,
        Some("np") => info.is_none_or(|info| info.shape.len() == 1),
        _ => false,
    };
    if is_added { tensor.clone().into_shape(&[rows]).unwrap_or(tensor) } else { tensor }
}
