//! Writes JSON as Python's `json.dumps` does: `", "` and `": "`, ASCII only, `NaN` bare. Never sorts keys.

use std::fmt::{self, Write};

use indexmap::IndexMap;

use super::python::float_repr;
use super::value::Value;

/// Writes a value.
pub(super) fn write_value(out: &mut impl Write, value: &Value) -> fmt::Result {
    match value {
        Value::Null => out.write_str("null"),
        Value::Bool(bool) => write!(out, "{bool}"),
        Value::Int(int) => write!(out, "{int}"),
        Value::BigInt(digits) => out.write_str(digits),
        Value::Float(float) if float.is_nan() => out.write_str("NaN"),
        Value::Float(f64::INFINITY) => out.write_str("Infinity"),
        Value::Float(f64::NEG_INFINITY) => out.write_str("-Infinity"),
        Value::Float(float) => out.write_str(&float_repr(*float)),
        Value::String(text) => write_string(out, text),
        Value::Array(items) => {
            out.write_char('[')?;
            for (index, item) in items.iter().enumerate() {
                out.write_str(if index == 0 { "" } else { ", " })?;
                write_value(out, item)?;
            }
            out.write_char(']')
        }
        Value::Object(members) => write_object(out, members),
    }
}

/// Writes a dict.
pub(super) fn write_object(out: &mut impl Write, members: &IndexMap<String, Value>) -> fmt::Result {
    out.write_char('{')?;
    for (index, (key, value)) in members.iter().enumerate() {
        out.write_str(if index == 0 { "" } else { ", " })?;
        write_string(out, key)?;
        out.write_str(": ")?;
        write_value(out, value)?;
    }
    out.write_char('}')
}

fn write_string(out: &mut impl Write, text: &str) -> fmt::Result {
    out.write_char('"')?;
    for character in text.chars() {
        match character {
            '"' => out.write_str("\\\"")?,
            '\\' => out.write_str("\\\\")?,
            '\n' => out.write_str("\\n")?,
            '\r' => out.write_str("\\r")?,
            '\t' => out.write_str("\\t")?,
            '\u{8}' => out.write_str("\\b")?,
            '\u{c}' => out.write_str("\\f")?,
            ' '..='~' => out.write_char(character)?,
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}")?;
                }
            }
        }
    }
    out.write_char('"')
}
