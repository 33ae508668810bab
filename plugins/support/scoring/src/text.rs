//! Text as Python and pandas read it, and floats as Python prints them. Never reads digits of other scripts than ASCII.

use std::fmt::Write;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::element::{Converted, Refusal};

/// `int(text)`; `None` also for what is beyond `i128`, and so beyond every type of a tensor.
pub(crate) fn python_int(text: &str) -> Option<i128> {
    text.trim().parse().ok()
}

/// `float(text)`.
pub(crate) fn python_float(text: &str) -> Option<f64> {
    text.trim().parse().ok()
}

/// A number in a CSV file; truth values are numbers there.
pub(crate) fn csv_float(field: &str) -> Option<f64> {
    python_float(field).or_else(|| csv_bool(field).map(|truth| f64::from(u8::from(truth))))
}

/// A float without a fraction.
#[expect(clippy::cast_possible_truncation, reason = "it is without a fraction, and what is too large saturates")]
pub(crate) fn integer(float: f64) -> Option<i128> {
    (float.fract() == 0.0).then_some(float as i128)
}

/// `repr(float)`: the shortest digits that read back, with an exponent below 1e-4 and from 1e16 on.
pub(crate) fn float_repr(float: f64) -> String {
    let mut text = String::new();
    write_float(&mut text, float);
    text
}

/// Appends `repr(float)`.
pub(crate) fn write_float(out: &mut String, float: f64) {
    // Rust's own digits differ from Python's where two are equally near: 2f64.powi(-25) ends in 2, and not in 3.
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format(float);
    if (1e-4..1e16).contains(&float.abs()) || float == 0.0 {
        return out.push_str(text);
    }
    let (sign, number) = text.strip_prefix('-').map_or(("", text), |number| ("-", number));
    // Writing to a string cannot fail.
    let _ = match (number.strip_prefix("0.0000").map(|digits| digits.split_at(1)), number.split_once('e')) {
        (Some((first, "")), _) => write!(out, "{sign}{first}e-05"),
        (Some((first, rest)), _) => write!(out, "{sign}{first}.{rest}e-05"),
        (None, Some((digits, exponent))) => match exponent.strip_prefix('-') {
            Some(exponent) => write!(out, "{sign}{digits}e-{exponent:0>2}"),
            None => write!(out, "{sign}{digits}e+{:0>2}", exponent.trim_start_matches('+')),
        },
        (None, None) => write!(out, "{text}"),
    };
}

/// Whether a field of a CSV file means that nothing is there: pandas' list.
pub(crate) fn is_missing(field: &str) -> bool {
    const MISSING: [&str; 18] = [
        "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
        "NULL", "NaN", "None", "n/a", "nan",
    ];
    MISSING.contains(&field) || field == "null"
}

/// A truth value as pandas reads it.
pub(crate) fn csv_bool(field: &str) -> Option<bool> {
    match field {
        "True" | "TRUE" | "true" => Some(true),
        "False" | "FALSE" | "false" => Some(false),
        _ => None,
    }
}

/// The bytes of base64 text, which may have line breaks.
pub(crate) fn base64(text: &str) -> Converted<Vec<u8>> {
    const ENGINE: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
    );
    let text: String = text.chars().filter(|character| !matches!(character, '\n' | '\r')).collect();
    ENGINE.decode(text).map_err(|error| match error {
        base64::DecodeError::InvalidByte(..) => Refusal::Changed("has characters that are not base64"),
        base64::DecodeError::InvalidLength(_) | base64::DecodeError::InvalidPadding => {
            Refusal::Unreadable("is base64 without the right padding")
        }
        base64::DecodeError::InvalidLastSymbol(..) => Refusal::Changed("is base64 with bits left over"),
    })
}

/// Bytes as base64 in lines of 76 characters, each with its end, as Python's `base64.encodebytes` writes it.
pub(crate) fn to_base64(bytes: &[u8]) -> String {
    const LINE: usize = 57;
    let mut text = String::new();
    for line in bytes.chunks(LINE) {
        base64::engine::general_purpose::STANDARD.encode_string(line, &mut text);
        text.push('\n');
    }
    text
}
