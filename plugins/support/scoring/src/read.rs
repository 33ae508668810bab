//! Reads the inputs of a request from its content type and its body.

use mlflow_deploy_plugin_api::JSON;
use serde_json::{Map, Value};

use crate::array::NestedArray;
use crate::content_type::{BodyFormat, body_format};
use crate::convert::{ConversionTarget, infer_tensor};
use crate::error::ProtocolError;
use crate::frame::{Frame, FrameColumn};
use crate::inputs::Inputs;
use crate::message::log_ignored;
use crate::request::{JsonRequest, RequestData};
use crate::signature::{Schema, Signature, TensorSpec};
use crate::tensor::{DType, Tensor};
use crate::{columns, encoding, params, tensors};

/// Reads a request. Returns its inputs, converted to the types in the model's signature. Without a signature, the types
/// are those that pandas and numpy infer.
///
/// The parameters of the request are checked and then dropped, because ONNX models take none.
///
/// # Errors
/// Fails if MLflow's scoring server rejects the request. Also fails if MLflow would change a value silently, such as
/// 2147483648 or 1.5 for the type `integer`. The message names the column or input, the value, and its position,
/// counted from 0.
pub fn read_request(content_type: &str, body: &[u8], signature: Option<&Signature>) -> Result<Inputs, ProtocolError> {
    let format = body_format(content_type)?;
    let text = &*encoding::decode(body, format)?;
    let (data, parameters) = match format {
        BodyFormat::Csv => (RequestData::Frame(Frame::read_csv(text)?), None),
        BodyFormat::JsonReader => {
            let request = JsonRequest::new(text)?;
            let parameters = request.params();
            (request.data()?, parameters)
        }
    };
    let inputs = match signature.and_then(|signature| signature.inputs.as_ref()) {
        None => infer_inputs(data)?,
        Some(Schema::Columns(specs)) => columns::enforce(data, specs)?,
        Some(Schema::Tensors(specs)) => tensors::enforce(data, specs)?,
    };
    match (signature.and_then(|signature| signature.params.as_ref()), parameters) {
        (Some(specs), Some(parameters)) => params::check(text, parameters, specs)?,
        (None, Some(_)) => log_ignored("the member", ["params"], "no signature of the model has"),
        (_, None) => {}
    }
    Ok(inputs)
}

/// Reads the parameters of a request: the members of the object `params` in a JSON body. A body of another type has no
/// parameters.
///
/// # Errors
/// Fails if [`read_request`] rejects the body before it reads the inputs, or if `params` is not an object.
pub fn read_params(content_type: &str, body: &[u8]) -> Result<Map<String, Value>, ProtocolError> {
    let format = body_format(content_type)?;
    if format == BodyFormat::Csv {
        return Ok(Map::new());
    }
    let text = encoding::decode(body, format)?;
    let Some(part) = JsonRequest::new(&text)?.params() else { return Ok(Map::new()) };
    match serde_json::from_str(text.get(part).unwrap_or_default()) {
        Ok(Value::Null) => Ok(Map::new()),
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(ProtocolError::invalid("`params` is not an object")),
        Err(error) => Err(ProtocolError::bad_request(format!("failed to read `params`: {error}"))),
    }
}

/// Reads a JSON list of values, or nested lists, as a tensor of the type `dtype`. The tensor has a dimension for each
/// level of lists.
///
/// # Errors
/// Fails if a value is not one of that type, or if lists of one level have different lengths. The message calls the
/// tensor "the input".
pub fn read_tensor(json: &str, dtype: DType) -> Result<Tensor, ProtocolError> {
    let rank = json.bytes().take_while(|byte| *byte == b'[' || byte.is_ascii_whitespace());
    let rank = rank.filter(|byte| *byte == b'[').count();
    let spec = TensorSpec { name: None, dtype, shape: vec![None; rank] };
    let signature = Signature { inputs: Some(Schema::Tensors(vec![spec])), params: None };
    match read_request(JSON, format!("{{\"inputs\":{json}}}").as_bytes(), Some(&signature))? {
        Inputs::Single(tensor) => Ok(tensor),
        Inputs::Frame(_) | Inputs::Named(_) => Err(ProtocolError::bad_request("expected a list of values")),
    }
}

/// Converts the inputs for a model without a signature. The types are those that pandas and numpy infer.
fn infer_inputs(data: RequestData) -> Result<Inputs, ProtocolError> {
    let column = |column: FrameColumn| {
        let name = column.label.into_text();
        let tensor = infer_tensor(column.data, ConversionTarget::column(&name))?;
        Ok((name, tensor))
    };
    let named = |(name, array): (String, NestedArray)| {
        let tensor = infer_tensor(array, ConversionTarget::input(Some(&name)))?;
        Ok((name, tensor))
    };
    Ok(match data {
        RequestData::Frame(frame) | RequestData::Records(frame) => {
            Inputs::Frame(frame.columns.into_iter().map(column).collect::<Result<_, _>>()?)
        }
        RequestData::Instances(frame) => {
            Inputs::Named(frame.columns.into_iter().map(column).collect::<Result<_, _>>()?)
        }
        RequestData::Named(arrays) => Inputs::Named(arrays.into_iter().map(named).collect::<Result<_, _>>()?),
        RequestData::Array(array) => Inputs::Single(infer_tensor(array, ConversionTarget::input(None))?),
    })
}
