//! Builds the bytes of a manifest at compile time, to store them in a section of the library.

pub use super::embed_check::check_name;
use super::embed_check::check_part;
pub use super::embed_message::{Message, is_same};

/// Returns the total length of the parts of a manifest in bytes. Fails the build if the length exceeds the maximum size
/// of a manifest.
pub const fn length(parts: &[&str]) -> usize {
    let (mut total, mut part) = (0, 0);
    while part < parts.len() {
        total += parts[part].len();
        part += 1;
    }
    assert!(total <= super::format::MAX_BYTES, "the manifest is larger than 64 KiB");
    total
}

/// Returns the bytes of all parts of a manifest, in order.
pub const fn concat<const LENGTH: usize>(parts: &[&str]) -> [u8; LENGTH] {
    let mut all = [0; LENGTH];
    let (mut at, mut part) = (0, 0);
    while part < parts.len() {
        let bytes = parts[part].as_bytes();
        let mut byte = 0;
        while byte < bytes.len() {
            all[at] = bytes[byte];
            at += 1;
            byte += 1;
        }
        part += 1;
    }
    all
}

/// Returns the bytes of a text as an array, because the static item in a section must be an array.
pub const fn bytes<const LENGTH: usize>(text: &str) -> [u8; LENGTH] {
    concat(&[text])
}

/// Converts the UTF-8 bytes of a text back to the text.
pub const fn text(bytes: &'static [u8]) -> &'static str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_not_utf8) => unreachable!(),
    }
}

/// Returns the members of a JSON object as text, without the braces around them. Fails the build if the text is not the
/// part of a manifest that an author writes.
pub const fn members(object: &str) -> &str {
    check_part(object);
    let inner = without_byte_order_mark(object).trim_ascii();
    let (_, rest) = inner.split_at(1);
    rest.split_at(rest.len() - 1).0
}

const fn without_byte_order_mark(text: &str) -> &str {
    match text.as_bytes() {
        [0xef, 0xbb, 0xbf, ..] => text.split_at(3).1,
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Manifest;

    #[test]
    fn a_byte_order_mark_and_surrounding_blanks_are_not_part_of_a_manifest() {
        assert_eq!(members("\u{feff} {\"description\": \"d\"}\r\n"), "\"description\": \"d\"");
        let json = "\u{feff}\r\n{\"manifest\":1,\"abi\":1,\"name\":\"a\",\"version\":\"1\",\"target\":\"t\",\"schemes\":[\"a\"],\"operations\":[],\"panic\":\"none\"}\r\n\0";
        assert_eq!(Manifest::parse(json.as_bytes()).unwrap().name, "a");
    }

    #[test]
    fn an_accepted_type_may_have_parameters_and_capital_letters() {
        let json = "{\"manifest\":1,\"abi\":1,\"name\":\"a\",\"version\":\"1\",\"target\":\"t\",\"schemes\":[\"a\"],\"operations\":[],\"panic\":\"none\",\"accepts\":[\"Text/CSV; header=present\"]}";
        let manifest = Manifest::parse(json.as_bytes()).unwrap();
        assert!(manifest.accepts_type("text/csv") && !manifest.accepts_type("application/json"));
    }
}
