//! Parses numbers, booleans and base64 as Python and pandas do, but with ASCII digits only.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::cell_error::{CellError, CellResult};

/// Parses an integer as Python's `int` does. Returns `None` if `text` is not an integer, or if the integer is out of
/// the range of `i128`.
pub(crate) fn python_int(text: &str) -> Option<i128> {
    text.trim().parse().ok()
}

/// Parses a float as Python's `float` does. Returns `None` if `text` is not a float.
pub(crate) fn python_float(text: &str) -> Option<f64> {
    text.trim().parse().ok()
}

/// Parses a field of a CSV file as a float. A boolean is 0 or 1, as in pandas.
pub(crate) fn csv_float(field: &str) -> Option<f64> {
    python_float(field).or_else(|| csv_bool(field).map(|truth| f64::from(u8::from(truth))))
}

/// Converts a float to an integer. Returns `None` if the float has a fraction.
#[expect(clippy::cast_possible_truncation, reason = "the float has no fraction, and the cast saturates")]
pub(crate) fn integer(float: f64) -> Option<i128> {
    (float.fract() == 0.0).then_some(float as i128)
}

/// Parses a field of a CSV file as a boolean, as pandas does. Returns `None` if the field is not a boolean.
pub(crate) fn csv_bool(field: &str) -> Option<bool> {
    match field {
        "True" | "TRUE" | "true" => Some(true),
        "False" | "FALSE" | "false" => Some(false),
        _ => None,
    }
}

/// Decodes base64 text. Ignores line breaks in the text.
pub(crate) fn base64(text: &str) -> CellResult<Vec<u8>> {
    const ENGINE: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
    );
    let text: String = text.chars().filter(|character| !matches!(character, '\n' | '\r')).collect();
    ENGINE.decode(text).map_err(|error| match error {
        base64::DecodeError::InvalidByte(..) => CellError::Lossy("has characters that are not base64"),
        base64::DecodeError::InvalidLength(_) | base64::DecodeError::InvalidPadding => {
            CellError::Invalid("is base64 with wrong padding")
        }
        base64::DecodeError::InvalidLastSymbol(..) => CellError::Lossy("is base64 with surplus bits"),
    })
}

/// Encodes bytes as base64, as Python's `base64.encodebytes` does: a line break follows each line of up to 76
/// characters.
pub(crate) fn to_base64(bytes: &[u8]) -> String {
    const LINE: usize = 57;
    let mut text = String::new();
    for line in bytes.chunks(LINE) {
        base64::engine::general_purpose::STANDARD.encode_string(line, &mut text);
        text.push('\n');
    }
    text
}
