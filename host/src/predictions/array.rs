//! Predictions as an array: numpy's rules for its shape, and for its dtype where none is given.

use ndarray::{ArrayD, IxDyn};

use super::element::Element;
use super::kinds::{Dtype, Kinds};
use super::response::PredictionsFormat;
use super::value::Value;
use crate::TargetError;

/// How many dimensions numpy's arrays have at most.
const MOST_DIMENSIONS: usize = 64;

/// The array that numpy makes where no dtype is given: of the least dtype that holds every prediction.
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
    /// Only booleans.
    Bool(ArrayD<bool>),
    /// Numbers that no integer dtype holds, or nothing.
    Float64(ArrayD<f64>),
    /// Integers within `i64`.
    Int64(ArrayD<i64>),
    /// Anything with a `null`, a dict, or an integer that no dtype holds.
    Object(ArrayD<Value>),
    /// Anything with a string: the rest became text.
    Str(ArrayD<String>),
    /// Integers beyond `i64` and within `u64`.
    Uint64(ArrayD<u64>),
}

impl PredictionsFormat for Ndarray {
    fn from_predictions(predictions: &Value) -> Result<Self, TargetError> {
        let nested = Nested::of(predictions);
        nested.check_shape()?;
        match Kinds::of(nested.elements.iter().copied().map(Some)).numpy() {
            Dtype::Bool => nested.collect().map(Self::Bool),
            Dtype::Float64 => nested.collect().map(Self::Float64),
            Dtype::Int64 => nested.collect().map(Self::Int64),
            Dtype::Object => nested.collect().map(Self::Object),
            Dtype::Str => nested.collect().map(Self::Str),
            Dtype::Uint64 => nested.collect().map(Self::Uint64),
        }
    }
}

/// The array that numpy makes of the predictions with this dtype.
///
/// Source: `numpy.array` with `dtype`.
impl<T: Element> PredictionsFormat for ArrayD<T> {
    fn from_predictions(predictions: &Value) -> Result<Self, TargetError> {
        let nested = Nested::of(predictions);
        if !T::HOLDS_LISTS {
            nested.check_shape()?;
        }
        nested.collect()
    }
}

/// Nested lists, taken apart as deep as they have one shape.
struct Nested<'a> {
    shape: Vec<usize>,
    elements: Vec<&'a Value>,
    /// Whether there are lists among the elements, which do not all have one length.
    is_ragged: bool,
}

impl<'a> Nested<'a> {
    fn of(value: &'a Value) -> Self {
        let mut nested = Self { shape: Vec::new(), elements: vec![value], is_ragged: false };
        while nested.shape.len() < MOST_DIMENSIONS
            && let Some(length) = nested.common_length()
        {
            nested.shape.push(length);
            nested.elements = nested.elements.into_iter().filter_map(list).flatten().collect();
        }
        nested.is_ragged = nested.elements.iter().any(|element| list(element).is_some());
        nested
    }

    /// The length that all elements have, where all of them are lists.
    fn common_length(&self) -> Option<usize> {
        let length = list(self.elements.first()?)?.len();
        self.elements.iter().all(|element| list(element).is_some_and(|items| items.len() == length)).then_some(length)
    }

    fn check_shape(&self) -> Result<(), TargetError> {
        if !self.is_ragged {
            return Ok(());
        }
        Err(TargetError::invalid_parameter(format!(
            "expected nested lists of one shape in at most {MOST_DIMENSIONS} dimensions, found lists that differ after \
             {} dimensions, of shape {:?}: ask for an array of `Value`, whose elements may be lists",
            self.shape.len(),
            self.shape
        )))
    }

    fn collect<T: Element>(&self) -> Result<ArrayD<T>, TargetError> {
        let converted = self.elements.iter().enumerate().map(|(index, element)| {
            T::from_value(element).ok_or_else(|| {
                TargetError::invalid_parameter(format!(
                    "expected {}, found `{}` at {:?}: ask for an array of another dtype",
                    T::DTYPE,
                    element.excerpt(),
                    self.position(index)
                ))
            })
        });
        let elements = converted.collect::<Result<Vec<_>, _>>()?;
        ArrayD::from_shape_vec(IxDyn(&self.shape), elements).map_err(|error| {
            TargetError::invalid_parameter(format!("failed to make an array of shape {:?}: {error}", self.shape))
        })
    }

    /// Where the element of this number is: an index for each dimension.
    fn position(&self, mut index: usize) -> Vec<usize> {
        let mut position = vec![0; self.shape.len()];
        for (place, length) in position.iter_mut().zip(&self.shape).rev() {
            *place = index % length;
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
