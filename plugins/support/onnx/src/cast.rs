//! One element type to another, without a silent change: what does not fit is refused with its place and value.

use half::f16;
use ndarray::{ArrayD, Dimension, IxDyn};
use ort::value::TensorElementType;

use mlflow_deploy_scoring::Tensor;

/// An element between two types: no integer and no float of a tensor is too large for it.
#[derive(Clone, Copy)]
enum Wide {
    Float(f64),
    Integer(i128),
}

/// Makes the elements what the model takes.
///
/// Integers and floats become each other where the value is the same; a float may be rounded to a smaller type of float, as
/// numpy and MLflow do it, but not overflow.
///
/// # Errors
/// Which element cannot be one, as a fragment of a sentence.
pub(crate) fn cast(tensor: Tensor, to: TensorElementType) -> Result<Tensor, String> {
    match (tensor, to) {
        // By far the most there are, and nothing is to be done.
        (tensor @ Tensor::Float32(_), TensorElementType::Float32)
        | (tensor @ Tensor::Float64(_), TensorElementType::Float64)
        | (tensor @ Tensor::Int64(_), TensorElementType::Int64) => Ok(tensor),
        (Tensor::String(array), TensorElementType::String) => match array.iter().any(|text| text.contains('\0')) {
            true => Err("holds a text with a NUL character, which ONNX Runtime cannot take".to_owned()),
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
        (other, to) => Err(format!("is of type {}, and the model wants {to}", other.dtype())),
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
        _ => Err(format!("holds {}, and the model wants {to}", T::NAME)),
    }
}

fn narrow<T: Widen, U: Narrow>(array: ArrayD<T>, to: TensorElementType) -> Result<ArrayD<U>, String> {
    let mut elements = Vec::with_capacity(array.len());
    for element in &array {
        match U::narrow(element.widen()) {
            Some(element) => elements.push(element),
            None => return Err(refusal(&array, elements.len(), to)),
        }
    }
    Ok(ArrayD::from_shape_vec(IxDyn(array.shape()), elements).expect("one element came of each"))
}

/// What is said of the element of this number.
fn refusal<T: Widen>(array: &ArrayD<T>, number: usize, to: TensorElementType) -> String {
    let (place, element) = array.indexed_iter().nth(number).expect("it was just seen");
    let place: Vec<String> = place.slice().iter().map(usize::to_string).collect();
    let value = match element.widen() {
        Wide::Float(value) => format!("{value:?}"),
        Wide::Integer(value) => value.to_string(),
    };
    format!("has `{value}` at [{}], which is no {to}, as the model wants it", place.join(", "))
}

/// What can become wide.
trait Widen: Copy {
    const NAME: &'static str = "numbers";
    const IS_BOOL: bool = false;
    fn widen(self) -> Wide;
}

/// What a wide element can become, where it has such a value.
trait Narrow: Sized {
    fn narrow(wide: Wide) -> Option<Self>;
}

impl Widen for bool {
    const NAME: &'static str = "truth values";
    const IS_BOOL: Self = true;

    fn widen(self) -> Wide {
        Wide::Integer(self.into())
    }
}

impl Narrow for bool {
    fn narrow(wide: Wide) -> Option<Self> {
        match wide {
            Wide::Integer(value) => Some(value != 0),
            Wide::Float(_) => None,
        }
    }
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl Widen for $type {
            fn widen(self) -> Wide {
                Wide::Integer(self.into())
            }
        }

        impl Narrow for $type {
            fn narrow(wide: Wide) -> Option<Self> {
                /// Beyond it, no float is an integer of any type here; below it, the conversion is exact.
                const TWO_POW_64: f64 = 18_446_744_073_709_551_616.0;
                match wide {
                    Wide::Integer(value) => value.try_into().ok(),
                    #[expect(clippy::cast_possible_truncation, reason = "it is whole, and not beyond what has room")]
                    Wide::Float(value) if value.trunc() == value && value.abs() <= TWO_POW_64 => (value as i128).try_into().ok(),
                    Wide::Float(_) => None,
                }
            }
        }
    )*};
}

integers!(i8, i16, i32, i64, u8, u16, u32, u64);

macro_rules! floats {
    ($($type:ty: $widen:expr, $from_float:expr, $from_integer:expr);* $(;)?) => {$(
        impl Widen for $type {
            fn widen(self) -> Wide {
                Wide::Float($widen(self))
            }
        }

        impl Narrow for $type {
            fn narrow(wide: Wide) -> Option<Self> {
                let (narrow, was_finite): (Self, bool) = match wide {
                    Wide::Float(value) => ($from_float(value), value.is_finite()),
                    Wide::Integer(value) => ($from_integer(value), true),
                };
                (narrow.is_finite() || !was_finite).then_some(narrow)
            }
        }
    )*};
}

#[expect(clippy::cast_possible_truncation, reason = "rounding is meant, and an overflow is found afterwards")]
mod floats {
    use super::{Narrow, Wide, Widen, f16};

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
    fn what_is_the_same_value_passes() {
        let whole = cast(floats(&[1.0, -2.0]), TensorElementType::Int64).unwrap();
        assert_eq!(whole, Tensor::Int64(arr1(&[1_i64, -2]).into_dyn()));
        let rounded = cast(floats(&[0.1, f64::NAN, f64::INFINITY]), TensorElementType::Float32).unwrap();
        assert!(matches!(rounded, Tensor::Float32(array) if array[[0]] == 0.1_f32 && array[[1]].is_nan()));
        let truth = cast(Tensor::Bool(arr1(&[true]).into_dyn()), TensorElementType::Float32).unwrap();
        assert_eq!(truth, Tensor::Float32(arr1(&[1.0_f32]).into_dyn()));
    }

    #[test]
    fn what_is_another_value_is_refused_with_its_place() {
        for (value, to, said) in [
            (1.5, TensorElementType::Int64, "has `1.5` at [1], which is no i64, as the model wants it"),
            (-1.0, TensorElementType::Uint8, "has `-1.0` at [1], which is no u8, as the model wants it"),
            (1e300, TensorElementType::Float32, "has `1e300` at [1], which is no f32, as the model wants it"),
            (f64::NAN, TensorElementType::Int32, "has `NaN` at [1], which is no i32, as the model wants it"),
            (2e19, TensorElementType::Uint64, "has `2e19` at [1], which is no u64, as the model wants it"),
        ] {
            assert_eq!(cast(floats(&[0.0, value]), to).unwrap_err(), said);
        }
        assert_eq!(
            cast(floats(&[1.0]), TensorElementType::Bool).unwrap_err(),
            "holds numbers, and the model wants bool"
        );
        let text = Tensor::String(arr1(&["1".to_owned()]).into_dyn());
        assert_eq!(cast(text, TensorElementType::Float32).unwrap_err(), "is of type str, and the model wants f32");
    }
}
