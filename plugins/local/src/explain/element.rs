//! Operations on tensors for `explain`. They join tensors, mix rows, compare elements and convert elements.

use half::f16;
use ndarray::{ArrayD, ArrayView2, Axis, IxDyn, concatenate};
use serde_json::Value;

use mlflow_deploy_scoring::Tensor;

/// A type of tensor elements that `explain` supports: a number, a boolean or a string.
trait FeatureElement: Clone + PartialEq {
    /// Converts an array with elements of this type to a tensor.
    fn into_tensor(array: ArrayD<Self>) -> Tensor;

    /// Returns the array in a tensor; `None` if its elements have another type.
    fn from_tensor(tensor: &Tensor) -> Option<&ArrayD<Self>>;

    /// Converts the element to a float if it is a number or boolean; returns `None` for a string.
    fn number(&self) -> Option<f64>;

    /// Converts the element to a JSON value.
    fn json(&self) -> Value;
}

macro_rules! elements {
    ($($variant:ident($type:ty): $number:expr, $json:expr;)*) => {
        $(impl FeatureElement for $type {
            fn into_tensor(array: ArrayD<Self>) -> Tensor {
                Tensor::$variant(array)
            }

            fn from_tensor(tensor: &Tensor) -> Option<&ArrayD<Self>> {
                match tensor {
                    Tensor::$variant(array) => Some(array),
                    _ => None,
                }
            }

            fn number(&self) -> Option<f64> {
                let number: fn(&Self) -> Option<f64> = $number;
                number(self)
            }

            fn json(&self) -> Value {
                let json: fn(&Self) -> Value = $json;
                json(self)
            }
        })*

        /// Evaluates an expression with the array in a tensor. Returns `None` for tensors of bytes or times, which
        /// `explain` does not support.
        macro_rules! with {
            ($tensor:expr, $array:ident => $result:expr) => {
                match $tensor {
                    $(Tensor::$variant($array) => Some($result),)*
                    Tensor::Binary(_) | Tensor::Datetime(_) => None,
                }
            };
        }
    };
}

#[expect(clippy::cast_precision_loss, reason = "integers beyond 2^53 are rounded, as in numpy")]
mod conversions {
    pub(super) fn signed(int: &i64) -> Option<f64> {
        Some(*int as f64)
    }

    pub(super) fn unsigned(int: &u64) -> Option<f64> {
        Some(*int as f64)
    }
}

/// Returns the shortest decimal number that parses as the same `float`. Without this step, a float of 16 or 32 bits
/// would be printed with all digits of its 64-bit value.
fn shortest(float: impl ToString) -> Value {
    float.to_string().parse::<f64>().map_or(Value::Null, Value::from)
}

elements! {
    Bool(bool): |truth| Some(f64::from(u8::from(*truth))), |truth| Value::from(*truth);
    Int8(i8): |int| Some(f64::from(*int)), |int| Value::from(*int);
    Int16(i16): |int| Some(f64::from(*int)), |int| Value::from(*int);
    Int32(i32): |int| Some(f64::from(*int)), |int| Value::from(*int);
    Int64(i64): conversions::signed, |int| Value::from(*int);
    UInt8(u8): |int| Some(f64::from(*int)), |int| Value::from(*int);
    UInt16(u16): |int| Some(f64::from(*int)), |int| Value::from(*int);
    UInt32(u32): |int| Some(f64::from(*int)), |int| Value::from(*int);
    UInt64(u64): conversions::unsigned, |int| Value::from(*int);
    Float16(f16): |float| Some(f64::from(*float)), |float| shortest(float);
    Float32(f32): |float| Some(f64::from(*float)), |float| shortest(float);
    Float64(f64): |float| Some(*float), |float| Value::from(*float);
    String(String): |_| None, |text| Value::from(text.as_str());
}

/// Converts the elements of a tensor to floats; returns `None` if they are not numbers or booleans.
pub(super) fn numbers(tensor: &Tensor) -> Option<ArrayD<f64>> {
    fn numbers<T: FeatureElement>(array: &ArrayD<T>) -> Option<ArrayD<f64>> {
        let numbers: Option<Vec<f64>> = array.iter().map(FeatureElement::number).collect();
        ArrayD::from_shape_vec(IxDyn(array.shape()), numbers?).ok()
    }
    with!(tensor, array => numbers(array))?
}

/// Returns a tensor with all rows of `one`, followed by the rows of `other` at the indexes `rows`. The result is in
/// row-major order. Returns `None` if the two tensors have different element types or shapes of a row.
pub(super) fn join(one: &Tensor, other: &Tensor, rows: &[usize]) -> Option<Tensor> {
    fn join<T: FeatureElement>(one: &ArrayD<T>, other: &Tensor, rows: &[usize]) -> Option<Tensor> {
        let other = T::from_tensor(other)?.select(Axis(0), rows);
        let joined = concatenate(Axis(0), &[one.view(), other.view()]).ok()?;
        Some(T::into_tensor(joined.as_standard_layout().into_owned()))
    }
    with!(one, array => join(array, other, rows))?
}

/// Returns a tensor whose rows are mixed from the rows of `tensor`. The element at `[row, position]` of the result is
/// the element at `position` of row `picks[[row, position]]` of `tensor`. `tensor` must be in row-major order, as
/// [`join`] returns it.
pub(super) fn pick(tensor: &Tensor, picks: ArrayView2<'_, usize>) -> Option<Tensor> {
    fn pick<T: FeatureElement>(array: &ArrayD<T>, picks: ArrayView2<'_, usize>) -> Option<Tensor> {
        let (elements, width) = (array.as_slice()?, picks.ncols());
        let mut picked = Vec::with_capacity(picks.len());
        for row in picks.rows() {
            picked.extend(row.iter().enumerate().map(|(position, row)| elements[row * width + position].clone()));
        }
        let mut shape = array.shape().to_vec();
        *shape.first_mut()? = picks.nrows();
        ArrayD::from_shape_vec(shape, picked).ok().map(T::into_tensor)
    }
    with!(tensor, array => pick(array, picks))?
}

/// Returns true if the elements at the row-major indexes `one` and `other` are equal.
pub(super) fn is_same(tensor: &Tensor, one: usize, other: usize) -> bool {
    with!(tensor, array => array.as_slice().is_some_and(|elements| elements[one] == elements[other])) == Some(true)
}

/// Returns the element at a row-major index as a JSON value.
pub(super) fn json(tensor: &Tensor, index: usize) -> Value {
    with!(tensor, array => array.as_slice().map_or(Value::Null, |elements| elements[index].json())).unwrap_or_default()
}
