//! What explaining does to arrays of any type: rows are joined and picked, and elements compared, counted and written.

use half::f16;
use ndarray::{ArrayD, ArrayView2, Axis, IxDyn, concatenate};
use serde_json::Value;

use mlflow_deploy_scoring::Tensor;

/// An element of the arrays that can be explained, or that explain.
trait Element: Clone + PartialEq {
    /// An array as a tensor.
    fn wrap(array: ArrayD<Self>) -> Tensor;

    /// The array of a tensor, where it has this type.
    fn unwrap(tensor: &Tensor) -> Option<&ArrayD<Self>>;

    /// The value as a float, where it is a number or a truth value.
    fn number(&self) -> Option<f64>;

    /// The value for a person and for JSON.
    fn json(&self) -> Value;
}

macro_rules! elements {
    ($($variant:ident($type:ty): $number:expr, $json:expr;)*) => {
        $(impl Element for $type {
            fn wrap(array: ArrayD<Self>) -> Tensor {
                Tensor::$variant(array)
            }

            fn unwrap(tensor: &Tensor) -> Option<&ArrayD<Self>> {
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

        /// Calls a function with the array of a tensor; `None` for bytes and times, which cannot be explained.
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

#[expect(clippy::cast_precision_loss, reason = "integers beyond 2^53 are rounded, as numpy does it")]
mod conversions {
    pub(super) fn signed(int: &i64) -> Option<f64> {
        Some(*int as f64)
    }

    pub(super) fn unsigned(int: &u64) -> Option<f64> {
        Some(*int as f64)
    }
}

/// The shortest decimal number that is this float, rather than all digits of the float of 64 bits.
fn short(float: impl ToString) -> Value {
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
    Float16(f16): |float| Some(f64::from(*float)), |float| short(float);
    Float32(f32): |float| Some(f64::from(*float)), |float| short(float);
    Float64(f64): |float| Some(*float), |float| Value::from(*float);
    String(String): |_| None, |text| Value::from(text.as_str());
}

/// The elements as floats; `None` where they are no numbers.
pub(super) fn numbers(tensor: &Tensor) -> Option<ArrayD<f64>> {
    fn numbers<T: Element>(array: &ArrayD<T>) -> Option<ArrayD<f64>> {
        let numbers: Option<Vec<f64>> = array.iter().map(Element::number).collect();
        ArrayD::from_shape_vec(IxDyn(array.shape()), numbers?).ok()
    }
    with!(tensor, array => numbers(array))?
}

/// The rows of one tensor and then some of another, in the order of memory; `None` where their types or their other
/// dimensions differ.
pub(super) fn join(one: &Tensor, other: &Tensor, rows: &[usize]) -> Option<Tensor> {
    fn join<T: Element>(one: &ArrayD<T>, other: &Tensor, rows: &[usize]) -> Option<Tensor> {
        let other = T::unwrap(other)?.select(Axis(0), rows);
        let joined = concatenate(Axis(0), &[one.view(), other.view()]).ok()?;
        Some(T::wrap(joined.as_standard_layout().into_owned()))
    }
    with!(one, array => join(array, other, rows))?
}

/// New rows: `picks` says for each, and for every place in it, which row the element is from. The tensor is in the
/// order of memory, as [`join`] makes it.
pub(super) fn pick(tensor: &Tensor, picks: ArrayView2<'_, usize>) -> Option<Tensor> {
    fn pick<T: Element>(array: &ArrayD<T>, picks: ArrayView2<'_, usize>) -> Option<Tensor> {
        let (elements, width) = (array.as_slice()?, picks.ncols());
        let mut picked = Vec::with_capacity(picks.len());
        for row in picks.rows() {
            picked.extend(row.iter().enumerate().map(|(place, row)| elements[row * width + place].clone()));
        }
        let mut shape = array.shape().to_vec();
        *shape.first_mut()? = picks.nrows();
        ArrayD::from_shape_vec(shape, picked).ok().map(T::wrap)
    }
    with!(tensor, array => pick(array, picks))?
}

/// Whether two elements, by their places in the order of memory, are the same.
pub(super) fn is_same(tensor: &Tensor, one: usize, other: usize) -> bool {
    with!(tensor, array => array.as_slice().is_some_and(|elements| elements[one] == elements[other])) == Some(true)
}

/// An element, by its place in the order of memory.
pub(super) fn json(tensor: &Tensor, place: usize) -> Value {
    with!(tensor, array => array.as_slice().map_or(Value::Null, |elements| elements[place].json())).unwrap_or_default()
}
