//! Converts one value to an element of an array by the rules of numpy. Never wraps numbers that are out of range.

use half::f16;
use num_complex::Complex;

use super::python;
use super::value::Value;

/// An element type of arrays: a dtype of numpy.
///
/// | numpy's dtype | type |
/// |---|---|
/// | `int8` `int16` `int32` `int64` | `i8` `i16` `i32` `i64` |
/// | `uint8` `uint16` `uint32` `uint64` | `u8` `u16` `u32` `u64` |
/// | `float16` `float32` `float64` | `half::f16`, `f32`, `f64` |
/// | `complex64` `complex128` | `Complex<f32>`, `Complex<f64>` |
/// | `bool` `str` `object` | `bool`, `String`, [`Value`], which holds any value |
/// | `datetime64[ns]` `timedelta64[ns]` and their other units | [`Datetime64`](super::Datetime64), [`Timedelta64`](super::Timedelta64) |
///
/// An integer out of range is rejected. A float out of range becomes infinite, and a float is rounded to the precision of
/// the type. An integer type drops the fraction of a float.
///
/// ```
/// use mlflow_deploy::predictions::{Element, Value};
///
/// assert_eq!(i32::from_value(&Value::Float(-1.9)), Some(-1));
/// assert_eq!(u8::from_value(&Value::Int(256)), None);
/// assert_eq!(f64::from_value(&Value::String(" 1_000 ".to_owned())), Some(1000.0));
/// assert_eq!(String::from_value(&Value::Bool(true)).as_deref(), Some("True"));
/// ```
///
/// A program may add types:
///
/// ```
/// use mlflow_deploy::PredictionsResponse;
/// use mlflow_deploy::predictions::ndarray::ArrayD;
/// use mlflow_deploy::predictions::{Element, Value};
///
/// #[derive(Debug, PartialEq)]
/// enum Species {
///     Setosa,
///     Virginica,
/// }
///
/// impl Element for Species {
///     const DTYPE: &'static str = "a species";
///
///     fn from_value(value: &Value) -> Option<Self> {
///         match value {
///             Value::String(name) if name == "setosa" => Some(Self::Setosa),
///             Value::String(name) if name == "virginica" => Some(Self::Virginica),
///             _ => None,
///         }
///     }
/// }
///
/// # fn main() -> Result<(), mlflow_deploy::TargetError> {
/// let response = PredictionsResponse::from_json(r#"{"predictions": ["virginica", "setosa"]}"#)?;
/// let species: ArrayD<Species> = response.get_predictions()?;
/// assert_eq!(species[0], Species::Virginica);
/// # Ok(())
/// # }
/// ```
pub trait Element: Sized {
    /// numpy's name of the dtype, or another description of the type for error messages.
    const DTYPE: &'static str;

    /// True if a list can be an element of the array. Nested lists may then have different lengths.
    const HOLDS_LISTS: bool = false;

    /// Converts the value as numpy does; `None` if numpy raises an exception.
    fn from_value(value: &Value) -> Option<Self>;
}

impl Element for bool {
    const DTYPE: &'static str = "bool";

    fn from_value(value: &Value) -> Option<Self> {
        Some(match value {
            Value::Null => false,
            Value::Bool(bool) => *bool,
            Value::Int(int) => *int != 0,
            // Not zero: zero is within `i64`.
            Value::BigInt(_) => true,
            Value::Float(float) => *float != 0.0,
            Value::String(text) => !text.is_empty(),
            Value::Array(items) => !items.is_empty(),
            Value::Object(members) => !members.is_empty(),
        })
    }
}

impl Element for String {
    const DTYPE: &'static str = "str";

    fn from_value(value: &Value) -> Option<Self> {
        Some(python::str(value))
    }
}

impl Element for Value {
    const DTYPE: &'static str = "object";
    const HOLDS_LISTS: bool = true;

    fn from_value(value: &Value) -> Option<Self> {
        Some(value.clone())
    }
}

impl Element for f64 {
    const DTYPE: &'static str = "float64";

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Null => Some(Self::NAN),
            Value::Bool(bool) => Some(Self::from(u8::from(*bool))),
            Value::String(text) => python::float(text),
            Value::Int(_) | Value::BigInt(_) | Value::Float(_) => value.as_f64(),
            Value::Array(_) | Value::Object(_) => None,
        }
    }
}

impl Element for f32 {
    const DTYPE: &'static str = "float32";

    #[expect(clippy::cast_possible_truncation, reason = "a value out of range becomes infinite, as in numpy")]
    fn from_value(value: &Value) -> Option<Self> {
        f64::from_value(value).map(|float| float as Self)
    }
}

impl Element for f16 {
    const DTYPE: &'static str = "float16";

    fn from_value(value: &Value) -> Option<Self> {
        f64::from_value(value).map(Self::from_f64)
    }
}

impl Element for Complex<f64> {
    const DTYPE: &'static str = "complex128";

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Null => Some(Self::new(f64::NAN, f64::NAN)),
            Value::String(text) => python::complex(text),
            other => f64::from_value(other).map(Self::from),
        }
    }
}

impl Element for Complex<f32> {
    const DTYPE: &'static str = "complex64";

    #[expect(clippy::cast_possible_truncation, reason = "a value out of range becomes infinite, as in numpy")]
    fn from_value(value: &Value) -> Option<Self> {
        Complex::<f64>::from_value(value).map(|complex| Self::new(complex.re as f32, complex.im as f32))
    }
}

/// Implements [`Element`] for integer types. A value out of range is rejected.
macro_rules! integers {
    ($($type:ident $dtype:literal),* $(,)?) => {
        $(impl Element for $type {
            const DTYPE: &'static str = $dtype;

            fn from_value(value: &Value) -> Option<Self> {
                integer(value)?.try_into().ok()
            }
        })*
    };
}

integers! {
    i16 "int16",
    i32 "int32",
    i64 "int64",
    i8 "int8",
    u16 "uint16",
    u32 "uint32",
    u64 "uint64",
    u8 "uint8",
}

/// Converts a value as Python's `int(x)` does. Returns `None` if Python raises an exception, or for an integer beyond
/// `i128`, which no dtype holds.
#[expect(clippy::cast_possible_truncation, reason = "`int` drops the fraction, and floats out of range saturate")]
fn integer(value: &Value) -> Option<i128> {
    match value {
        Value::Bool(bool) => Some(i128::from(*bool)),
        Value::Int(int) => Some(i128::from(*int)),
        Value::BigInt(digits) => digits.parse().ok(),
        Value::Float(float) => float.is_finite().then_some(*float as i128),
        Value::String(text) => python::int(text),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
