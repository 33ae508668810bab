//! Decodes the body of a request to text.

use std::borrow::Cow;
use std::str;

use crate::content_type::BodyFormat;
use crate::error::ProtocolError;

/// An encoding whose code units have several bytes: UTF-16 or UTF-32. Holds the function that reads a code unit in the
/// encoding's byte order.
#[derive(Clone, Copy)]
enum Wide {
    Utf16(fn([u8; 2]) -> u16),
    Utf32(fn([u8; 4]) -> u32),
}

/// Decodes the body of a request, and removes its byte order mark. The body is UTF-8. A JSON body can also be UTF-16 or
/// UTF-32, as in Python's `json.loads`, which MLflow's scoring server calls.
///
/// # Errors
/// Fails if the body has a byte that is invalid in its encoding.
pub(crate) fn decode(body: &[u8], format: BodyFormat) -> Result<Cow<'_, str>, ProtocolError> {
    let text = match wide(body).filter(|_| format == BodyFormat::JsonReader) {
        Some(Wide::Utf16(unit)) => Cow::Owned(utf16(body, unit)?),
        Some(Wide::Utf32(unit)) => Cow::Owned(utf32(body, unit)?),
        None => Cow::Borrowed(str::from_utf8(body).map_err(|error| {
            let offset = error.valid_up_to();
            ProtocolError::bad_request(format!("the body is not UTF-8: invalid byte at offset {offset}"))
        })?),
    };
    Ok(match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.strip_prefix('\u{feff}').unwrap_or(text)),
        Cow::Owned(text) => Cow::Owned(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text)),
    })
}

/// Returns the UTF-16 or UTF-32 encoding of a JSON body, or `None` for another encoding. Recognizes it by the byte
/// order mark, or by the zero bytes in the first characters, which are ASCII in JSON.
fn wide(body: &[u8]) -> Option<Wide> {
    Some(match *body {
        [0, 0, 0xfe, 0xff, ..] | [0, 0, _, _, ..] => Wide::Utf32(u32::from_be_bytes),
        [0xff, 0xfe, 0, 0, ..] => Wide::Utf32(u32::from_le_bytes),
        [0xfe, 0xff, ..] => Wide::Utf16(u16::from_be_bytes),
        [0xff, 0xfe, ..] => Wide::Utf16(u16::from_le_bytes),
        [0, _, _, _, ..] | [0, _] => Wide::Utf16(u16::from_be_bytes),
        [_, 0, 0, 0, ..] => Wide::Utf32(u32::from_le_bytes),
        [_, 0, _, _, ..] | [_, 0] => Wide::Utf16(u16::from_le_bytes),
        _ => return None,
    })
}

fn utf16(body: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, ProtocolError> {
    let (units, rest) = body.as_chunks();
    let text = char::decode_utf16(units.iter().map(|bytes| unit(*bytes))).collect::<Result<String, _>>();
    text.ok().filter(|_| rest.is_empty()).ok_or_else(|| invalid("UTF-16"))
}

fn utf32(body: &[u8], unit: fn([u8; 4]) -> u32) -> Result<String, ProtocolError> {
    let (units, rest) = body.as_chunks();
    let text = units.iter().map(|bytes| char::from_u32(unit(*bytes))).collect::<Option<String>>();
    text.filter(|_| rest.is_empty()).ok_or_else(|| invalid("UTF-32"))
}

fn invalid(encoding: &str) -> ProtocolError {
    ProtocolError::bad_request(format!("the body begins as {encoding}, but it is not valid: send UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"inputs": ["é", "😀"]}"#;

    fn encoded(text: &str) -> [Vec<u8>; 4] {
        [
            text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
            text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            text.chars().flat_map(|each| u32::from(each).to_be_bytes()).collect(),
            text.chars().flat_map(|each| u32::from(each).to_le_bytes()).collect(),
        ]
    }

    #[test]
    fn json_is_read_in_each_encoding_of_unicode_with_and_without_a_byte_order_mark() {
        for text in [TEXT.to_owned(), format!("\u{feff}{TEXT}"), "{}".to_owned(), "1".to_owned()] {
            let shown = text.trim_start_matches('\u{feff}');
            for body in encoded(&text).iter().chain([&text.clone().into_bytes()]) {
                assert_eq!(decode(body, BodyFormat::JsonReader).unwrap(), shown, "{body:?}");
            }
        }
        assert_eq!(decode(b"", BodyFormat::JsonReader).unwrap(), "");
    }

    #[test]
    fn csv_is_read_as_utf_8_only() {
        assert_eq!(decode("\u{feff}a\n1\n".as_bytes(), BodyFormat::Csv).unwrap(), "a\n1\n");
        let [_, little, ..] = encoded("\u{feff}a\n1\n");
        let error = decode(&little, BodyFormat::Csv).unwrap_err();
        assert_eq!(error.message, "the body is not UTF-8: invalid byte at offset 0");
    }

    #[test]
    fn an_invalid_body_is_rejected() {
        let [_, mut half, _, mut quarter] = encoded(TEXT);
        half.pop();
        quarter.pop();
        for body in
            [&half[..], &quarter, b"{\0\0\xd8", b"{\0\0\0\0\0\x11\0", "{\u{e9}".as_bytes().split_last().unwrap().1]
        {
            let error = decode(body, BodyFormat::JsonReader).unwrap_err();
            assert_eq!(error.status(), 400, "{error}");
        }
    }
}
