//! A JSON value as Python reads it. Never rounds a number, and never changes the order of an object.

use std::fmt;

use indexmap::IndexMap;

use super::write::write_value;

/// A JSON value as Python reads it: with `NaN`, infinities and integers of any size. In an array it is numpy's `object`.
///
/// `Display` is the JSON that Python's `json.dumps` writes.
///
/// ```
/// use mlflow_deploy::PredictionsResponse;
/// use mlflow_deploy::predictions::Value;
///
/// # fn main() -> Result<(), mlflow_deploy::TargetError> {
/// let response = PredictionsResponse::from_json(r#"{"predictions":[18446744073709551616,1e16,"é"]}"#)?;
/// assert_eq!(response.contents()["predictions"].to_string(), r#"[18446744073709551616, 1e+16, "\u00e9"]"#);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer within `i64`.
    Int(i64),
    /// An integer beyond `i64`: its decimal digits, after a `-` where it is negative.
    BigInt(String),
    /// A number with a fraction or an exponent, `NaN`, `Infinity` or `-Infinity`.
    Float(f64),
    /// A string.
    String(String),
    /// A list.
    Array(Vec<Self>),
    /// A dict: of a key that came twice the last value, at the place of the first.
    Object(IndexMap<String, Self>),
}

impl fmt::Display for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_value(formatter, self)
    }
}

impl Value {
    /// The start of the value's JSON, for a message.
    pub(super) fn excerpt(&self) -> String {
        excerpt(&self.to_string())
    }

    /// The number as the nearest float; `None` for what is no number, or is beyond every float.
    pub(super) fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Int(int) => Some(*int as f64),
            Self::BigInt(digits) => digits.parse().ok().filter(|float: &f64| float.is_finite()),
            Self::Float(float) => Some(*float),
            _ => None,
        }
    }
}

/// The start of a text, for a message.
pub(super) fn excerpt(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
