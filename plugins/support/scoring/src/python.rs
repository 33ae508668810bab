//! Writes floats as Python's `repr(float)` does, and JSON as Python's `json.dumps` does.
//!
//! The JSON is ASCII with `", "` and `": "` as separators. `NaN`, `Infinity` and `-Infinity` are written without
//! quotes. Python, MLflow and this project read them, but strict JSON parsers do not.
//!
//! ```
//! use mlflow_deploy_scoring::python;
//!
//! # fn main() -> std::fmt::Result {
//! let mut json = String::new();
//! python::write_list(&mut json, [1e16, f64::NAN], |out, float| python::write_json_float(out, float))?;
//! assert_eq!(json, "[1e+16, NaN]");
//! # Ok(())
//! # }
//! ```

use std::fmt::{Result, Write};

/// Formats a float as Python's `repr` does, with the fewest digits that parse to the same float. If its absolute value
/// is below 1e-4 or at least 1e16, it is written with an exponent; 0 is not.
pub fn float_repr(float: f64) -> String {
    let mut text = String::new();
    write_float(&mut text, float).expect("writing to a string does not fail");
    text
}

/// Writes a float to `out`, in the format of [`float_repr`].
///
/// # Errors
/// Fails if `out` cannot be written to.
pub fn write_float(out: &mut impl Write, float: f64) -> Result {
    if float.is_nan() {
        return out.write_str("nan");
    }
    // If two candidates are equally near, Rust's own digits differ from Python's: 2f64.powi(-25) ends in 3, not in 2.
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format(float);
    if (1e-4..1e16).contains(&float.abs()) || float == 0.0 {
        return out.write_str(text);
    }
    let (sign, number) = text.strip_prefix('-').map_or(("", text), |number| ("-", number));
    let (digits, minus, exponent) = match number.strip_prefix("0.0000") {
        Some(digits) => (digits, true, "5"),
        None => match number.split_once('e') {
            None => return out.write_str(text),
            Some((digits, exponent)) => (digits, exponent.starts_with('-'), exponent.trim_start_matches(['-', '+'])),
        },
    };
    out.write_str(sign)?;
    match digits.split_at(1) {
        (first, rest) if number.starts_with('0') && !rest.is_empty() => {
            out.write_str(first)?;
            out.write_char('.')?;
            out.write_str(rest)?;
        }
        _ => out.write_str(digits)?,
    }
    out.write_str(if minus { "e-" } else { "e+" })?;
    out.write_str(if exponent.len() < 2 { "0" } else { "" })?;
    out.write_str(exponent)
}

/// Writes a float to `out` as JSON: as [`float_repr`] formats it, or as `NaN`, `Infinity` or `-Infinity`.
///
/// # Errors
/// Fails if `out` cannot be written to.
pub fn write_json_float(out: &mut impl Write, float: f64) -> Result {
    match float {
        f64::INFINITY => out.write_str("Infinity"),
        f64::NEG_INFINITY => out.write_str("-Infinity"),
        float if float.is_nan() => out.write_str("NaN"),
        float => write_float(out, float),
    }
}

/// Writes a JSON string to `out`. Escapes quotes, backslashes, and all characters other than printable ASCII, as Python
/// does.
///
/// # Errors
/// Fails if `out` cannot be written to.
pub fn write_string(out: &mut impl Write, text: &str) -> Result {
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

/// Writes a JSON array to `out`. Calls `write` to write each item.
///
/// # Errors
/// Fails if `out` cannot be written to.
pub fn write_list<W: Write, T>(
    out: &mut W,
    items: impl IntoIterator<Item = T>,
    write: impl Fn(&mut W, T) -> Result,
) -> Result {
    out.write_char('[')?;
    for (index, item) in items.into_iter().enumerate() {
        out.write_str(if index == 0 { "" } else { ", " })?;
        write(out, item)?;
    }
    out.write_char(']')
}

/// Writes a JSON object to `out`, with its members in the given order. Calls `write` to write each member's value.
///
/// # Errors
/// Fails if `out` cannot be written to.
pub fn write_object<W: Write, K: AsRef<str>, T>(
    out: &mut W,
    members: impl IntoIterator<Item = (K, T)>,
    write: impl Fn(&mut W, T) -> Result,
) -> Result {
    out.write_char('{')?;
    for (index, (key, value)) in members.into_iter().enumerate() {
        out.write_str(if index == 0 { "" } else { ", " })?;
        write_string(out, key.as_ref())?;
        out.write_str(": ")?;
        write(out, value)?;
    }
    out.write_char('}')
}
