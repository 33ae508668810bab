//! Python's conversions between values and text: `str(x)`, `float(text)`, `int(text)`. Digits are ASCII only.

use mlflow_deploy_scoring::python::float_repr;

use super::value::Value;

/// Returns Python's `str(x)` of a scalar. A list or dict becomes JSON, whereas Python writes its `repr`.
pub(super) fn str(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Float(float) => float_repr(*float),
        Value::String(text) => text.clone(),
        Value::Int(_) | Value::BigInt(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

/// Returns Python's `float(text)`; `None` if Python raises an exception.
pub(super) fn float(text: &str) -> Option<f64> {
    without_underscores(text.trim())?.parse().ok()
}

/// Returns Python's `int(text)`; `None` if Python raises an exception, or for an integer beyond `i128`, which no dtype
/// holds.
pub(super) fn int(text: &str) -> Option<i128> {
    without_underscores(text.trim())?.parse().ok()
}

/// Removes the underscores of a number; `None` if an underscore is not between two digits.
fn without_underscores(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let is_digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    let is_valid = |(at, byte): (usize, &u8)| *byte != b'_' || (is_digit(at.checked_sub(1)) && is_digit(Some(at + 1)));
    bytes.iter().enumerate().all(is_valid).then(|| text.replace('_', ""))
}
