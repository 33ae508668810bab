//! Matches the values of a request with a signature of tensors, by MLflow's rules for names and shapes. The module
//! `convert` converts the values.

use std::collections::HashMap;
use std::iter;

use crate::array::NestedArray;
use crate::convert::{ConversionTarget, to_tensor};
use crate::error::ProtocolError;
use crate::frame::{Frame, FrameColumn};
use crate::inputs::Inputs;
use crate::message::{NOT_IN_SIGNATURE, log_ignored, quote_names, shorten};
use crate::request::RequestData;
use crate::signature::TensorSpec;
use crate::tensor::Tensor;

/// A function that converts an array to a tensor that the signature declares.
type TensorConversion = fn(NestedArray, &TensorSpec) -> Result<Tensor, ProtocolError>;

/// Returns the tensors of a request that the signature declares, converted to their types.
pub(crate) fn enforce(data: RequestData, specs: &[TensorSpec]) -> Result<Inputs, ProtocolError> {
    if let [spec] = specs
        && let RequestData::Array(array) = data
    {
        let tensor = exact(array, spec)?;
        return Ok(match &spec.name {
            None => Inputs::Single(tensor),
            Some(name) => Inputs::Named(vec![(name.clone(), tensor)]),
        });
    }
    if let [spec @ TensorSpec { name: None, .. }] = specs {
        return match data {
            RequestData::Frame(frame) => from_frame(frame, spec).map(Inputs::Single),
            RequestData::Named(_) => Err(ProtocolError::bad_request(
                "expected one array without a name, the request has an object of arrays",
            )),
            RequestData::Array(_) | RequestData::Instances(_) | RequestData::Records(_) => {
                Err(ProtocolError::schema("expected one array without a name, the request has a list of objects"))
            }
        };
    }
    let names: Vec<_> = specs.iter().map(|spec| spec.name.as_deref().unwrap_or_default()).collect();
    let expected = quote_names(names.iter().copied());
    let (arrays, convert): (Vec<(String, NestedArray)>, TensorConversion) = match data {
        RequestData::Frame(frame) => (named(frame), reshaped),
        RequestData::Instances(frame) => (named(frame), exact),
        RequestData::Named(arrays) => (arrays.into_iter().collect(), exact),
        RequestData::Array(_) => {
            return Err(ProtocolError::schema(format!("expected {expected}, the request has an array without a name")));
        }
        RequestData::Records(_) => {
            return Err(ProtocolError::schema(format!("expected {expected}, but `inputs` is a list of objects")));
        }
    };
    let labels: Vec<_> = arrays.iter().map(|(name, _)| name.clone()).collect();
    let mut arrays: HashMap<_, _> = arrays.into_iter().collect();
    let missing: Vec<_> = names.iter().copied().filter(|name| !arrays.contains_key(*name)).collect();
    if !missing.is_empty() {
        return Err(ProtocolError::schema(format!(
            "the request lacks {}, which the model takes: the request has {}",
            quote_names(missing),
            quote_names(labels.iter().map(String::as_str)),
        )));
    }
    let take = |(name, spec): (&str, &TensorSpec)| {
        let array = arrays.remove(name).unwrap_or_default();
        Ok((name.to_owned(), convert(array, spec)?))
    };
    let taken = names.iter().copied().zip(specs).map(take).collect::<Result<_, _>>()?;
    if labels.len() > names.len() {
        let surplus = labels.iter().map(String::as_str).filter(|name| !names.contains(name));
        log_ignored("the inputs", surplus, NOT_IN_SIGNATURE);
    }
    Ok(Inputs::Named(taken))
}

fn named(frame: Frame) -> Vec<(String, NestedArray)> {
    frame.columns.into_iter().map(|column| (column.label.into_text(), column.data)).collect()
}

/// Converts a dataframe to the only tensor of a model. The dataframe has either a single column, whose cells are the
/// rows of the tensor, or a column of single values for each element of a row.
fn from_frame(mut frame: Frame, spec: &TensorSpec) -> Result<Tensor, ProtocolError> {
    if frame.rows == 0 || frame.columns.is_empty() {
        return Err(ProtocolError::schema("the dataframe is empty"));
    }
    if frame.columns.len() == 1
        && let Some(column) = frame.columns.pop()
    {
        return reshaped(column.data, spec);
    }
    let width = frame.columns.len();
    if !fits(&[frame.rows, width], spec) {
        return Err(ProtocolError::schema(format!(
            "the dataframe has {width} columns; the model takes one array of shape {}",
            numpy_shape(&spec.shape),
        )));
    }
    let column = |FrameColumn { label, data }: FrameColumn| {
        let name = label.text();
        if data.shape.len() != 1 {
            return Err(ProtocolError::schema(format!(
                "column `{}` holds lists: expected one value for each row",
                shorten(name)
            )));
        }
        to_tensor(data, spec.dtype, ConversionTarget { expected: spec.dtype.name(), ..ConversionTarget::column(name) })
    };
    let columns: Vec<_> = frame.columns.into_iter().map(column).collect::<Result<_, _>>()?;
    Tensor::from_columns(columns).ok_or_else(|| ProtocolError::schema("the columns have different lengths"))
}

/// Converts an array to a tensor. Fails if the shape of the array is not the shape that the signature declares.
fn exact(array: NestedArray, spec: &TensorSpec) -> Result<Tensor, ProtocolError> {
    let target = ConversionTarget { expected: spec.dtype.name(), ..ConversionTarget::input(spec.name.as_deref()) };
    let tensor = to_tensor(array, spec.dtype, target)?;
    if fits(tensor.shape(), spec) {
        return Ok(tensor);
    }
    Err(ProtocolError::schema(format!(
        "{} has shape {}; the model takes {}",
        target.subject(),
        numpy_shape(&tensor.shape().iter().copied().map(Some).collect::<Vec<_>>()),
        numpy_shape(&spec.shape),
    )))
}

/// Converts a column to a tensor. A cell of the column may hold a row of the tensor as a flat list in row-major order.
fn reshaped(mut array: NestedArray, spec: &TensorSpec) -> Result<Tensor, ProtocolError> {
    let wanted: Option<Vec<usize>> = spec.shape.iter().skip(1).copied().collect();
    if let (None, Some(wanted), [rows, inner @ ..]) = (&array.uneven, wanted, array.shape.as_slice())
        && product(&wanted) == product(inner)
    {
        array.shape = iter::once(*rows).chain(wanted).collect();
    }
    exact(array, spec)
}

fn product(sizes: &[usize]) -> Option<usize> {
    sizes.iter().try_fold(1_usize, |product, size| product.checked_mul(*size))
}

fn fits(shape: &[usize], spec: &TensorSpec) -> bool {
    let fits = |(size, expected): (&usize, &Option<usize>)| expected.is_none_or(|expected| expected == *size);
    shape.len() == spec.shape.len() && shape.iter().zip(&spec.shape).all(fits)
}

/// Formats a shape as numpy does, such as `(-1, 3)`. A dimension of any size is `-1`.
fn numpy_shape(shape: &[Option<usize>]) -> String {
    let sizes: Vec<_> =
        shape.iter().map(|size| size.map_or_else(|| "-1".to_owned(), |size| size.to_string())).collect();
    match sizes.as_slice() {
        [one] => format!("({one},)"),
        more => format!("({})", more.join(", ")),
    }
}
