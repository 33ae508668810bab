//! Converts one value to an element of an array by the rules of numpy. Never wraps numbers that are out of range.

use super::python;
use super::value::Value;

/// An element type of arrays: a dtype of numpy.
///
/// `f32` `f64` `i32` `i64` `u8` `u64` `bool` are numpy's dtypes of these sizes, `String` is `str`, and [`Value`] is
/// `object`, which holds any value.
///
/// ```
/// use mlflow_deploy::predictions::{Element, Value};
///
/// assert_eq!(i32::from_value(&Value::Float(-1.9)), Some(-1));
/// assert_eq!(u8::from_value(&Value::Int(256)), None);
/// assert_eq!(f64::from_value(&Value::String(" 1_000 ".to_owned())), Some(1000.0));
/// assert_eq!(String::from_value(&Value::Bool(true)).as_deref(), Some("True"));
/// ```
pub trait Element: Sized {
    /// numpy's name of the dtype.
    const DTYPE: &'static str;

    /// True if a list can be an element. Nested lists may then have different lengths.
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

/// Implements [`Element`] for integers. Values out of range are rejected.
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
    i32 "int32",
    i64 "int64",
    u64 "uint64",
    u8 "uint8",
}

/// Returns Python's `int(x)`; `None` if Python raises an exception, or for an integer beyond `i128`, which no dtype
/// holds.
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
