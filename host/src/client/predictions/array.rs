//! Predictions as an array, with numpy's rules for the shape and the default dtype.

use mlflow_deploy_plugin_api::Error as TargetError;
use ndarray::{ArrayD, IxDyn};

use super::element::Element;
use super::infer_dtype::{NumpyDtype, ValueKinds};
use super::response::PredictionsFormat;
use super::value::Value;

/// The maximum number of dimensions of an array in numpy.
const MAX_DIMENSIONS: usize = 64;

/// An array with the dtype that numpy chooses by default: one that holds every prediction.
///
/// ```
/// use mlflow_deploy::PredictionsResponse;
/// use mlflow_deploy::predictions::Ndarray;
///
/// # fn main() -> Result<(), mlflow_deploy::TargetError> {
/// let response = PredictionsResponse::from_json(r#"{"predictions": [[1, 2], [3, 4.5]]}"#)?;
/// let Ndarray::Float64(array) = response.get_predictions()? else { panic!("numpy says float64") };
/// assert_eq!((array.shape(), array.sum()), ([2, 2].as_slice(), 10.5));
/// # Ok(())
/// # }
/// ```
///
/// Source: `numpy.array` without `dtype`.
#[derive(Clone, Debug, PartialEq)]
pub enum Ndarray {
    /// An array of booleans.
    Bool(ArrayD<bool>),
    /// An array of numbers that no integer dtype holds, or an array without elements.
    Float64(ArrayD<f64>),
    /// An array of integers within `i64`.
    Int64(ArrayD<i64>),
    /// An array with a `null`, a dict, or an integer that no dtype holds.
    Object(ArrayD<Value>),
    /// An array with a string. All other values are converted to strings.
    Str(ArrayD<String>),
    /// An array of integers beyond `i64` and within `u64`.
    Uint64(ArrayD<u64>),
}

impl PredictionsFormat for Ndarray {
    fn from_predictions(predictions: &Value) -> Result<Self, TargetError> {
        let nested = NestedLists::new(predictions);
        nested.check_shape()?;
        match ValueKinds::new(nested.elements.iter().copied().map(Some)).numpy() {
            NumpyDtype::Bool => nested.collect().map(Self::Bool),
            NumpyDtype::Float64 => nested.collect().map(Self::Float64),
            NumpyDtype::Int64 => nested.collect().map(Self::Int64),
            NumpyDtype::Object => nested.collect().map(Self::Object),
            NumpyDtype::Str => nested.collect().map(Self::Str),
            NumpyDtype::Uint64 => nested.collect().map(Self::Uint64),
        }
    }
}

/// Converts the predictions to the array that numpy makes from them with this dtype.
///
/// Source: `numpy.array` with `dtype`.
impl<T: Element> PredictionsFormat for ArrayD<T> {
    fn from_predictions(predictions: &Value) -> Result<Self, TargetError> {
        let nested = NestedLists::new(predictions);
        if !T::HOLDS_LISTS {
            nested.check_shape()?;
        }
        nested.collect()
    }
}

/// The elements and the shape of nested lists. Lists are flattened level by level, as long as all lists of a level have
/// the same length.
struct NestedLists<'a> {
    shape: Vec<usize>,
    elements: Vec<&'a Value>,
    /// True if some elements are lists, which could not be flattened because their lengths differ.
    is_ragged: bool,
}

impl<'a> NestedLists<'a> {
    fn new(value: &'a Value) -> Self {
        let mut nested = Self { shape: Vec::new(), elements: vec![value], is_ragged: false };
        while nested.shape.len() < MAX_DIMENSIONS
            && let Some(length) = nested.common_length()
        {
            nested.shape.push(length);
            nested.elements = nested.elements.into_iter().filter_map(list).flatten().collect();
        }
        nested.is_ragged = nested.elements.iter().any(|element| list(element).is_some());
        nested
    }

    /// Returns the length that all elements share; `None` if they are not lists of one length.
    fn common_length(&self) -> Option<usize> {
        let length = list(self.elements.first()?)?.len();
        self.elements.iter().all(|element| list(element).is_some_and(|items| items.len() == length)).then_some(length)
    }

    fn check_shape(&self) -> Result<(), TargetError> {
        if !self.is_ragged {
            return Ok(());
        }
        Err(TargetError::invalid_parameter(format!(
            "expected nested lists of one shape in at most {MAX_DIMENSIONS} dimensions, found lists that differ after \
             {} dimensions, of shape {:?}: use an array of `Value`, whose elements may be lists",
            self.shape.len(),
            self.shape
        )))
    }

    fn collect<T: Element>(&self) -> Result<ArrayD<T>, TargetError> {
        let converted = self.elements.iter().enumerate().map(|(index, element)| {
            T::from_value(element).ok_or_else(|| {
                TargetError::invalid_parameter(format!(
                    "expected {}, found `{}` at {:?}: use an array of another dtype",
                    T::DTYPE,
                    element.shortened(),
                    self.position(index)
                ))
            })
        });
        let elements = converted.collect::<Result<Vec<_>, _>>()?;
        ArrayD::from_shape_vec(IxDyn(&self.shape), elements).map_err(|error| {
            TargetError::invalid_parameter(format!("failed to build an array of shape {:?}: {error}", self.shape))
        })
    }

    /// Converts a row-major index to one index for each dimension.
    fn position(&self, mut index: usize) -> Vec<usize> {
        let mut position = vec![0; self.shape.len()];
        for (at, length) in position.iter_mut().zip(&self.shape).rev() {
            *at = index % length;
            index /= length;
        }
        position
    }
}

fn list(value: &Value) -> Option<&Vec<Value>> {
    match value {
        Value::Array(items) => Some(items),
        _ => None,
    }
}
