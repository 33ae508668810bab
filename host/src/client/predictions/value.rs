//! A JSON value as Python reads and writes it. Keeps the digits of integers and the order of objects.

use std::fmt::{self, Write};

use indexmap::IndexMap;
use mlflow_deploy_scoring::{python, shorten};

/// A JSON value as Python reads it: with `NaN`, infinities and integers of any size. An array of these values has
/// numpy's dtype `object`.
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
    /// An integer beyond `i64`: its decimal digits, with a `-` if it is negative.
    BigInt(String),
    /// A number with a fraction or an exponent, `NaN`, `Infinity` or `-Infinity`.
    Float(f64),
    /// A string.
    String(String),
    /// A list.
    Array(Vec<Self>),
    /// A dict. A repeated key has its last value, at its first position.
    Object(IndexMap<String, Self>),
}

impl fmt::Display for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_value(formatter, self)
    }
}

impl Value {
    /// Returns the start of the value's JSON, for an error message.
    pub(super) fn shortened(&self) -> String {
        shorten(&self.to_string())
    }

    /// Returns the number as the nearest float; `None` for other values and for numbers out of range.
    pub(super) fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Int(int) => Some(*int as f64),
            Self::BigInt(digits) => digits.parse().ok().filter(|float: &f64| float.is_finite()),
            Self::Float(float) => Some(*float),
            _ => None,
        }
    }
}

/// Writes a value as JSON, as Python's `json.dumps` does.
fn write_value(out: &mut impl Write, value: &Value) -> fmt::Result {
    match value {
        Value::Null => out.write_str("null"),
        Value::Bool(bool) => write!(out, "{bool}"),
        Value::Int(int) => write!(out, "{int}"),
        Value::BigInt(digits) => out.write_str(digits),
        Value::Float(float) => python::write_json_float(out, *float),
        Value::String(text) => python::write_string(out, text),
        Value::Array(items) => python::write_list(out, items, |out, item| write_value(out, item)),
        Value::Object(members) => write_dict(out, members),
    }
}

/// Writes a dict as JSON, as Python's `json.dumps` does.
pub(super) fn write_dict(out: &mut impl Write, members: &IndexMap<String, Value>) -> fmt::Result {
    python::write_object(out, members, |out, value| write_value(out, value))
}
