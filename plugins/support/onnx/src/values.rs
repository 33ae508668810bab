//! Converts tensors to ONNX Runtime's values, and ONNX Runtime's values to outputs of a model.

use std::fmt;

use mlflow_deploy_plugin_api::{Error, ErrorCode, Result};
use mlflow_deploy_scoring::{Output, Tensor};
use ndarray::ArrayD;
use ort::value::{DynMapValueType, DynValue, PrimitiveTensorElementType, TensorElementType, Value, ValueType};

/// Converts a tensor to a value of ONNX Runtime. Copies an array only if it is not in row-major order.
///
/// # Errors
/// Fails with `INVALID_PARAMETER_VALUE` if ONNX Runtime does not support the type of the tensor, or rejects the value.
pub(crate) fn from_tensor(tensor: Tensor) -> Result<DynValue> {
    fn primitive<T: PrimitiveTensorElementType + fmt::Debug + Clone + 'static>(
        array: ArrayD<T>,
    ) -> ort::Result<DynValue> {
        ort::value::Tensor::from_array(array).map(Value::into_dyn)
    }
    let value = match tensor {
        Tensor::Bool(array) => primitive(array),
        Tensor::Int8(array) => primitive(array),
        Tensor::Int16(array) => primitive(array),
        Tensor::Int32(array) => primitive(array),
        Tensor::Int64(array) => primitive(array),
        Tensor::UInt8(array) => primitive(array),
        Tensor::UInt16(array) => primitive(array),
        Tensor::UInt32(array) => primitive(array),
        Tensor::UInt64(array) => primitive(array),
        Tensor::Float16(array) => primitive(array),
        Tensor::Float32(array) => primitive(array),
        Tensor::Float64(array) => primitive(array),
        Tensor::String(array) => {
            ort::value::Tensor::from_string_array(&array.as_standard_layout()).map(Value::into_dyn)
        }
        Tensor::Binary(_) | Tensor::Datetime(_) => {
            return Err(Error::invalid_parameter("ONNX models do not support bytes and dates"));
        }
    };
    value.map_err(|error| Error::invalid_parameter(format!("ONNX Runtime rejected an input: {error}")))
}

/// The maximum number of elements in an output. The JSON of such an output has at most a few gigabytes.
const MAX_VALUES: i64 = 1 << 28;

/// Converts a value of ONNX Runtime to an output. `name` is the output's name in error messages.
///
/// # Errors
/// Fails with `NOT_IMPLEMENTED` if MLflow's protocol does not support the type of the value. Fails with `BAD_REQUEST`
/// if the value is too large.
pub(crate) fn to_output(name: &str, value: &DynValue) -> Result<Output> {
    let failed = |error: ort::Error| Error::internal(format!("failed to read the model's output `{name}`: {error}"));
    match value.dtype() {
        ValueType::Tensor { ty, shape, .. } => {
            // A dimension of 0 counts as 1: rows without values are written too.
            let values = shape.iter().try_fold(1, |values: i64, size| values.checked_mul((*size).max(1)));
            if values.is_none_or(|values| values > MAX_VALUES) {
                let message =
                    format!("the model's output `{name}` has the shape {shape}, which is too large for an answer");
                return Err(Error::new(ErrorCode::BAD_REQUEST, message));
            }
            tensor(*ty, value).map_err(failed)?.map(Output::Tensor).ok_or_else(|| unsupported(name, value))
        }
        ValueType::Sequence(element) if element.is_map() => {
            let maps = value.try_extract_sequence::<DynMapValueType>().map_err(failed)?;
            maps.iter()
                .map(|map| entries(map).map_err(failed)?.ok_or_else(|| unsupported(name, value)))
                .collect::<Result<_>>()
                .map(Output::Maps)
        }
        _ => Err(unsupported(name, value)),
    }
}

fn unsupported(name: &str, value: &DynValue) -> Error {
    Error::new(
        ErrorCode::NOT_IMPLEMENTED,
        format!("the model's output `{name}` has the type {}, which MLflow's protocol does not support", value.dtype()),
    )
}

fn tensor(element: TensorElementType, value: &DynValue) -> ort::Result<Option<Tensor>> {
    fn copy<T: PrimitiveTensorElementType + Clone>(value: &DynValue) -> ort::Result<ArrayD<T>> {
        value.try_extract_array::<T>().map(|array| array.to_owned())
    }
    Ok(Some(match element {
        TensorElementType::Bool => Tensor::Bool(copy(value)?),
        TensorElementType::Int8 => Tensor::Int8(copy(value)?),
        TensorElementType::Int16 => Tensor::Int16(copy(value)?),
        TensorElementType::Int32 => Tensor::Int32(copy(value)?),
        TensorElementType::Int64 => Tensor::Int64(copy(value)?),
        TensorElementType::Uint8 => Tensor::UInt8(copy(value)?),
        TensorElementType::Uint16 => Tensor::UInt16(copy(value)?),
        TensorElementType::Uint32 => Tensor::UInt32(copy(value)?),
        TensorElementType::Uint64 => Tensor::UInt64(copy(value)?),
        TensorElementType::Float16 => Tensor::Float16(copy(value)?),
        TensorElementType::Float32 => Tensor::Float32(copy(value)?),
        TensorElementType::Float64 => Tensor::Float64(copy(value)?),
        TensorElementType::String => Tensor::String(value.try_extract_string_array()?),
        _ => return Ok(None),
    }))
}

/// Returns the entries of a map, such as the probability of each label. Returns `None` if the types of the keys and
/// values are not supported.
fn entries(map: &Value<DynMapValueType>) -> ort::Result<Option<Vec<(String, f32)>>> {
    match map.dtype() {
        ValueType::Map { key: TensorElementType::Int64, value: TensorElementType::Float32 } => {
            let entries = map.try_extract_key_values::<i64, f32>()?;
            Ok(Some(entries.into_iter().map(|(label, value)| (label.to_string(), value)).collect()))
        }
        ValueType::Map { key: TensorElementType::String, value: TensorElementType::Float32 } => {
            map.try_extract_key_values::<String, f32>().map(Some)
        }
        _ => Ok(None),
    }
}
