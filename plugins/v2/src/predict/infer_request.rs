//! Writes tensors as a request of the protocol, in JSON or with the binary extension.

use mlflow_deploy_plugin_api::{Error, Result};
use mlflow_deploy_scoring::{Output, Tensor, write_value};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::inputs::{InputForm, ModelInput, ModelInputs};
use crate::api::InferBody;
use crate::binary;
use crate::datatype::Datatype;

/// The number of elements from which tensors are sent in binary. Below it, JSON is as fast and can be read in a log.
const MIN_BINARY: usize = 1024;

/// The abilities of a server that determine the form of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wire {
    /// True if the server reads and writes tensors in binary.
    pub(crate) has_binary: bool,
    /// True if the request names the Python types to which the server decodes the tensors, as MLServer and KServe
    /// require for a model without metadata.
    pub(crate) names_types: bool,
    /// True if the request says that its tensors are the columns of a dataframe.
    pub(crate) names_frames: bool,
}

#[derive(Serialize)]
struct RequestHead<'a> {
    #[serde(skip_serializing_if = "Map::is_empty")]
    parameters: Map<String, Value>,
    inputs: Vec<TensorHead<'a>>,
}

#[derive(Serialize)]
struct TensorHead<'a> {
    name: &'a str,
    shape: &'a [usize],
    datatype: Datatype,
    #[serde(skip_serializing_if = "Map::is_empty")]
    parameters: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Box<RawValue>>,
}

/// Writes a request. Sends large tensors in binary if the server supports it. Requests that such a server answers in
/// binary, which is exact for every type.
///
/// # Errors
/// `INVALID_PARAMETER_VALUE` if a value is missing or infinite, and the tensors are sent in JSON, which cannot represent
/// it.
pub(crate) fn write_request(inputs: &ModelInputs, wire: Wire) -> Result<InferBody> {
    let elements: usize = inputs.tensors.iter().map(|input| input.tensor.shape().iter().product::<usize>()).sum();
    let is_binary = wire.has_binary
        && (elements >= MIN_BINARY
            || inputs
                .tensors
                .iter()
                .any(|input| input.datatype.needs_binary() || not_in_json(&input.tensor).is_some()));
    let mut parameters = inputs.params.clone();
    if wire.has_binary {
        parameters.insert("binary_data_output".to_owned(), Value::Bool(true));
    }
    if let Some(content_type) = request_type(inputs.form, wire) {
        parameters.entry("content_type").or_insert_with(|| content_type.into());
    }
    let mut binary_parts = Vec::new();
    let mut heads = Vec::with_capacity(inputs.tensors.len());
    for input in &inputs.tensors {
        let mut parameters = Map::new();
        if wire.names_types {
            parameters.insert("content_type".to_owned(), tensor_type(&input.tensor).into());
        }
        let data = if is_binary {
            let bytes = binary::encode(&input.tensor, input.datatype).ok_or_else(|| {
                Error::invalid_parameter(format!("the input `{}` has a string of more than 4 GiB", input.name))
            })?;
            parameters.insert("binary_data_size".to_owned(), bytes.len().into());
            binary_parts.push(bytes);
            None
        } else {
            Some(json_data(input)?)
        };
        let (name, shape) = (&input.name, input.tensor.shape());
        heads.push(TensorHead { name, shape, datatype: input.datatype, parameters, data });
    }
    let json = serde_json::to_vec(&RequestHead { parameters, inputs: heads })
        .map_err(|error| Error::internal(format!("failed to write the request: {error}")).with_cause(&error))?;
    let json_length = is_binary.then_some(json.len());
    binary_parts.insert(0, json);
    Ok(InferBody { bytes: binary_parts.concat().into(), json_length })
}

/// Returns the elements of a tensor as a flat JSON list.
fn json_data(input: &ModelInput) -> Result<Box<RawValue>> {
    if let Some((index, what)) = not_in_json(&input.tensor) {
        let at = match (input.tensor.shape(), index) {
            ([_] | [_, 1], row) => format!("row {row}"),
            ([_, width], index) => format!("row {}, position {}", index / width, index % width),
            (_, index) => format!("element {index}"),
        };
        return Err(Error::invalid_parameter(format!(
            "input `{}`, {at}: the value is {what}, and the server takes `{}` in JSON, which has no such number; replace \
             or remove the value",
            input.name, input.datatype,
        )));
    }
    let elements = input.tensor.shape().iter().product();
    let flat = input.tensor.clone().into_shape(&[elements]).expect("the number of elements is the same");
    let json = write_value(&Output::Tensor(flat));
    Ok(RawValue::from_string(json).expect("finite numbers and strings have a JSON form"))
}

/// Returns the index of the first element that JSON cannot represent, and the kind of the element.
fn not_in_json(tensor: &Tensor) -> Option<(usize, &'static str)> {
    fn find(floats: impl Iterator<Item = f64>) -> Option<(usize, &'static str)> {
        let mut floats = floats.enumerate();
        floats
            .find(|(_, float)| !float.is_finite())
            .map(|(index, float)| (index, if float.is_nan() { "missing (`null` or `NaN`)" } else { "infinite" }))
    }
    match tensor {
        Tensor::Float16(array) => find(array.iter().map(|float| f64::from(*float))),
        Tensor::Float32(array) => find(array.iter().map(|float| f64::from(*float))),
        Tensor::Float64(array) => find(array.iter().copied()),
        _ => None,
    }
}

/// Returns the content type of a request, by which MLServer and KServe decode its tensors together.
fn request_type(form: InputForm, wire: Wire) -> Option<&'static str> {
    match form {
        InputForm::Frame => wire.names_frames.then_some("pd"),
        InputForm::Named => wire.names_types.then_some("dict"),
        InputForm::Single => wire.names_types.then_some("np"),
    }
}

/// Returns the content type of a tensor, by which MLServer decodes it.
fn tensor_type(tensor: &Tensor) -> &'static str {
    match tensor {
        Tensor::String(_) => "str",
        Tensor::Binary(_) => "base64",
        _ => "np",
    }
}
