//! Python's own conversions between text and numbers: `repr(float)`, `str(x)`, `float(text)`, `int(text)`.
//! Never reads digits of other scripts than ASCII.

use super::value::Value;

/// `repr(float)`: the shortest digits that read back, with an exponent below 1e-4 and from 1e16 on.
pub(super) fn float_repr(float: f64) -> String {
    if float.is_nan() {
        return "nan".to_owned();
    }
    // Rust's own digits differ from Python's where two are equally near: 2f64.powi(-25) ends in 2, and not in 3.
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format(float);
    let (sign, number) = text.strip_prefix('-').map_or(("", text), |number| ("-", number));
    match (number.strip_prefix("0.0000"), number.split_once('e')) {
        (None, None) => text.to_owned(),
        (Some(digits), _) => match digits.split_at(1) {
            (first, "") => format!("{sign}{first}e-05"),
            (first, rest) => format!("{sign}{first}.{rest}e-05"),
        },
        (None, Some((digits, exponent))) => match exponent.strip_prefix('-') {
            None => format!("{sign}{digits}e+{:0>2}", exponent.trim_start_matches('+')),
            Some(exponent) => format!("{sign}{digits}e-{exponent:0>2}"),
        },
    }
}

/// `str(x)` of a scalar; of a list or a dict its JSON, where Python has its `repr`.
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

/// `float(text)`.
pub(super) fn float(text: &str) -> Option<f64> {
    without_underscores(text.trim())?.parse().ok()
}

/// `int(text)`; `None` also for what is beyond `i128`, and so beyond every dtype.
pub(super) fn int(text: &str) -> Option<i128> {
    without_underscores(text.trim())?.parse().ok()
}

/// The text of a number without underscores; `None` where one is not between two digits.
fn without_underscores(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let is_digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    let is_right = |(at, byte): (usize, &u8)| *byte != b'_' || (is_digit(at.checked_sub(1)) && is_digit(Some(at + 1)));
    bytes.iter().enumerate().all(is_right).then(|| text.replace('_', ""))
}
