//! Python's conversions between values and text: `str(x)`, `float(text)`, `int(text)`, `complex(text)`. Only ASCII
//! digits are accepted.

use mlflow_deploy_scoring::python::float_repr;
use num_complex::Complex;

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

/// Returns Python's `complex(text)`; `None` if Python raises an exception.
pub(super) fn complex(text: &str) -> Option<Complex<f64>> {
    let text = text.trim();
    let inner = text.strip_prefix('(').and_then(|text| text.strip_suffix(')'));
    let text = without_underscores(inner.map_or(text, str::trim))?;
    let Some(text) = text.strip_suffix(['j', 'J']) else {
        return text.parse().ok().map(|real| Complex::new(real, 0.0));
    };
    // The last sign separates the parts, unless it belongs to an exponent.
    let is_separator = |(at, _): &(usize, &str)| *at > 0 && !text[..*at].ends_with(['e', 'E']);
    let at = text.rmatch_indices(['+', '-']).find(is_separator).map_or(0, |(at, _)| at);
    let (real, imaginary) = text.split_at(at);
    let real = if real.is_empty() { Some(0.0) } else { real.parse().ok() };
    let imaginary = match imaginary {
        "" | "+" => Some(1.0),
        "-" => Some(-1.0),
        other => other.parse().ok(),
    };
    Some(Complex::new(real?, imaginary?))
}

/// Removes the underscores from the text of a number; `None` if an underscore is not between two digits.
fn without_underscores(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let is_digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    let is_valid = |(at, byte): (usize, &u8)| *byte != b'_' || (is_digit(at.checked_sub(1)) && is_digit(Some(at + 1)));
    bytes.iter().enumerate().all(is_valid).then(|| text.replace('_', ""))
}
