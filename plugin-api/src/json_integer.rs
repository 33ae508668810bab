//! Finds integers in JSON that do not fit into 64 bits. Parsers turn such integers into floats, which loses digits.

/// Returns the position, in bytes, of the first integer in a JSON text that is neither an `i64` nor a `u64`. Numbers
/// with a fraction or an exponent are floats and are not returned.
///
/// ```
/// use mlflow_deploy_plugin_api::json_integer;
///
/// assert_eq!(json_integer::beyond_64_bits(r#"{"id": 18446744073709551616}"#), Some(7));
/// assert_eq!(json_integer::beyond_64_bits(r#"[18446744073709551615, 1e30, "18446744073709551616"]"#), None);
/// ```
pub fn beyond_64_bits(json: &str) -> Option<usize> {
    let bytes = json.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = end_of_string(bytes, at),
            b'-' | b'0'..=b'9' => {
                let rest = &json[at..];
                let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
                let number = &rest[..rest.bytes().take_while(is_part).count()];
                if is_beyond_64_bits(number) {
                    return Some(at);
                }
                at += number.len();
            }
            _ => at += 1,
        }
    }
    None
}

/// Returns true if a JSON number is an integer that is neither an `i64` nor a `u64`.
pub fn is_beyond_64_bits(number: &str) -> bool {
    let digits = number.strip_prefix(['-', '+']).unwrap_or(number);
    let is_integer = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_integer && number.parse::<i64>().is_err() && number.parse::<u64>().is_err()
}

/// Returns the position after the JSON string that starts at `start`.
fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_integers_outside_of_strings_and_beyond_64_bits_are_found() {
        for (json, found) in [
            ("", None),
            ("[9223372036854775808, -9223372036854775808, 0, -0]", None),
            ("-9223372036854775809", Some(0)),
            (r#"{"a\"\\": [1, 99999999999999999999]}"#, Some(14)),
            (r#"{"a\\": "99999999999999999999\"", "b": 1}"#, None),
            ("[99999999999999999999.0, 99999999999999999999E0]", None),
            (r#""99999999999999999999"#, None),
            (r#""\"#, None),
            ("é 99999999999999999999", Some(3)),
        ] {
            assert_eq!(beyond_64_bits(json), found, "{json}");
        }
    }
}
