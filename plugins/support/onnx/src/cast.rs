//! Converts tensors from one element type to another. Never changes a value silently: a value that the new type cannot
//! represent is an error, which contains the index of the value.

use half::f16;
use mlflow_deploy_scoring::Tensor;
use ndarray::{ArrayD, Dimension, IxDyn};
use ort::value::TensorElementType;

/// A number in a type that can represent the values of every element type.
#[derive(Clone, Copy)]
enum WideNumber {
    Float(f64),
    Integer(i128),
}

/// Converts the elements of a tensor to the type that the model expects.
///
/// An integer is converted to a float, or a float to an integer, only if the value stays the same. A float may be
/// rounded to a smaller float type, as in numpy and MLflow, but must not overflow.
///
/// # Errors
/// Fails with the reason for the first element that cannot be converted. The reason is the predicate of a sentence
/// about the tensor.
pub(crate) fn cast(tensor: Tensor, to: TensorElementType) -> Result<Tensor, String> {
    match (tensor, to) {
        // The most frequent types need no conversion.
        (tensor @ Tensor::Float32(_), TensorElementType::Float32)
        | (tensor @ Tensor::Float64(_), TensorElementType::Float64)
        | (tensor @ Tensor::Int64(_), TensorElementType::Int64) => Ok(tensor),
        (Tensor::String(array), TensorElementType::String) => match array.iter().any(|text| text.contains('\0')) {
            true => Err("has a string with a NUL character, which ONNX Runtime does not support".to_owned()),
            false => Ok(Tensor::String(array)),
        },
        (Tensor::Bool(array), to) => number(array, to),
        (Tensor::Int8(array), to) => number(array, to),
        (Tensor::Int16(array), to) => number(array, to),
        (Tensor::Int32(array), to) => number(array, to),
        (Tensor::Int64(array), to) => number(array, to),
        (Tensor::UInt8(array), to) => number(array, to),
        (Tensor::UInt16(array), to) => number(array, to),
        (Tensor::UInt32(array), to) => number(array, to),
        (Tensor::UInt64(array), to) => number(array, to),
        (Tensor::Float16(array), to) => number(array, to),
        (Tensor::Float32(array), to) => number(array, to),
        (Tensor::Float64(array), to) => number(array, to),
        (other, to) => Err(format!("has the type {}: the model expects {to}", other.dtype())),
    }
}

fn number<T: Widen>(array: ArrayD<T>, to: TensorElementType) -> Result<Tensor, String> {
    match to {
        TensorElementType::Bool if T::IS_BOOL => narrow(array, to).map(Tensor::Bool),
        TensorElementType::Int8 => narrow(array, to).map(Tensor::Int8),
        TensorElementType::Int16 => narrow(array, to).map(Tensor::Int16),
        TensorElementType::Int32 => narrow(array, to).map(Tensor::Int32),
        TensorElementType::Int64 => narrow(array, to).map(Tensor::Int64),
        TensorElementType::Uint8 => narrow(array, to).map(Tensor::UInt8),
        TensorElementType::Uint16 => narrow(array, to).map(Tensor::UInt16),
        TensorElementType::Uint32 => narrow(array, to).map(Tensor::UInt32),
        TensorElementType::Uint64 => narrow(array, to).map(Tensor::UInt64),
        TensorElementType::Float16 => narrow(array, to).map(Tensor::Float16),
        TensorElementType::Float32 => narrow(array, to).map(Tensor::Float32),
        TensorElementType::Float64 => narrow(array, to).map(Tensor::Float64),
        _ => Err(format!("has {}: the model expects {to}", T::NAME)),
    }
}

fn narrow<T: Widen, U: Narrow>(array: ArrayD<T>, to: TensorElementType) -> Result<ArrayD<U>, String> {
    let mut elements = Vec::with_capacity(array.len());
    for element in &array {
        match U::narrow(element.widen()) {
            Some(element) => elements.push(element),
            None => return Err(out_of_range(&array, elements.len(), to)),
        }
    }
    Ok(ArrayD::from_shape_vec(IxDyn(array.shape()), elements).expect("the number of elements is unchanged"))
}

/// Describes the element of an array that the type `to` cannot represent. `position` is its position in the order of
/// iteration.
fn out_of_range<T: Widen>(array: &ArrayD<T>, position: usize, to: TensorElementType) -> String {
    let (index, element) = array.indexed_iter().nth(position).expect("the position is within the array");
    let index: Vec<String> = index.slice().iter().map(usize::to_string).collect();
    let value = match element.widen() {
        WideNumber::Float(value) => format!("{value:?}"),
        WideNumber::Integer(value) => value.to_string(),
    };
    format!("has `{value}` at [{}], not representable as {to}, which the model expects", index.join(", "))
}

/// An element type whose values can all be converted to a [`WideNumber`].
trait Widen: Copy {
    const NAME: &'static str = "numbers";
    const IS_BOOL: bool = false;
    fn widen(self) -> WideNumber;
}

/// An element type to which a [`WideNumber`] is converted if the type can represent the number.
trait Narrow: Sized {
    fn narrow(wide: WideNumber) -> Option<Self>;
}

impl Widen for bool {
    const NAME: &'static str = "booleans";
    const IS_BOOL: Self = true;

    fn widen(self) -> WideNumber {
        WideNumber::Integer(self.into())
    }
}

impl Narrow for bool {
    fn narrow(wide: WideNumber) -> Option<Self> {
        match wide {
            WideNumber::Integer(value) => Some(value != 0),
            WideNumber::Float(_) => None,
        }
    }
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl Widen for $type {
            fn widen(self) -> WideNumber {
                WideNumber::Integer(self.into())
            }
        }

        impl Narrow for $type {
            fn narrow(wide: WideNumber) -> Option<Self> {
                /// 2⁶⁴, the limit for the conversion of floats. Larger floats exceed every integer type here, and the
                /// conversion of smaller ones to `i128` is exact.
                const TWO_POW_64: f64 = 18_446_744_073_709_551_616.0;
                match wide {
                    WideNumber::Integer(value) => value.try_into().ok(),
                    #[expect(clippy::cast_possible_truncation, reason = "the value is an integer within the range of i128")]
                    WideNumber::Float(value) if value.trunc() == value && value.abs() <= TWO_POW_64 => (value as i128).try_into().ok(),
                    WideNumber::Float(_) => None,
                }
            }
        }
    )*};
}

integers!(i8, i16, i32, i64, u8, u16, u32, u64);

macro_rules! floats {
    ($($type:ty: $widen:expr, $from_float:expr, $from_integer:expr);* $(;)?) => {$(
        impl Widen for $type {
            fn widen(self) -> WideNumber {
                WideNumber::Float($widen(self))
            }
        }

        impl Narrow for $type {
            fn narrow(wide: WideNumber) -> Option<Self> {
                let (narrow, was_finite): (Self, bool) = match wide {
                    WideNumber::Float(value) => ($from_float(value), value.is_finite()),
                    WideNumber::Integer(value) => ($from_integer(value), true),
                };
                (narrow.is_finite() || !was_finite).then_some(narrow)
            }
        }
    )*};
}

#[expect(clippy::cast_possible_truncation, reason = "rounding is intended, and the result is checked for overflow")]
mod floats {
    use super::{Narrow, WideNumber, Widen, f16};

    floats! {
        f16: f16::to_f64, f16::from_f64, |value: i128| f16::from_f64(value as f64);
        f32: f64::from, |value: f64| value as f32, |value: i128| value as f32;
        f64: f64::from, |value: f64| value, |value: i128| value as f64;
    }
}

#[cfg(test)]
mod tests {
    use ndarray::arr1;

    use super::*;

    fn floats(values: &[f64]) -> Tensor {
        Tensor::Float64(arr1(values).into_dyn())
    }

    #[test]
    fn values_that_both_types_represent_are_converted() {
        let whole = cast(floats(&[1.0, -2.0]), TensorElementType::Int64).unwrap();
        assert_eq!(whole, Tensor::Int64(arr1(&[1_i64, -2]).into_dyn()));
        let rounded = cast(floats(&[0.1, f64::NAN, f64::INFINITY]), TensorElementType::Float32).unwrap();
        assert!(matches!(rounded, Tensor::Float32(array) if array[[0]] == 0.1_f32 && array[[1]].is_nan()));
        let truth = cast(Tensor::Bool(arr1(&[true]).into_dyn()), TensorElementType::Float32).unwrap();
        assert_eq!(truth, Tensor::Float32(arr1(&[1.0_f32]).into_dyn()));
    }

    #[test]
    fn a_value_that_the_type_cannot_represent_is_rejected_with_its_index() {
        for (value, to, message) in [
            (1.5, TensorElementType::Int64, "has `1.5` at [1], not representable as i64, which the model expects"),
            (-1.0, TensorElementType::Uint8, "has `-1.0` at [1], not representable as u8, which the model expects"),
            (
                1e300,
                TensorElementType::Float32,
                "has `1e300` at [1], not representable as f32, which the model expects",
            ),
            (f64::NAN, TensorElementType::Int32, "has `NaN` at [1], not representable as i32, which the model expects"),
            (2e19, TensorElementType::Uint64, "has `2e19` at [1], not representable as u64, which the model expects"),
        ] {
            assert_eq!(cast(floats(&[0.0, value]), to).unwrap_err(), message);
        }
        assert_eq!(cast(floats(&[1.0]), TensorElementType::Bool).unwrap_err(), "has numbers: the model expects bool");
        let text = Tensor::String(arr1(&["1".to_owned()]).into_dyn());
        assert_eq!(cast(text, TensorElementType::Float32).unwrap_err(), "has the type str: the model expects f32");
    }
}
