//! Builds a manifest's bytes at compile time, for the section that holds them.

/// The length of all parts together.
pub const fn length(parts: &[&str]) -> usize {
    let (mut total, mut part) = (0, 0);
    while part < parts.len() {
        total += parts[part].len();
        part += 1;
    }
    assert!(total <= super::LARGEST, "the manifest is larger than 64 KiB");
    total
}

/// All parts, one after the other.
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

/// A text as an array, which a section's static has to be.
pub const fn bytes<const LENGTH: usize>(text: &str) -> [u8; LENGTH] {
    concat(&[text])
}

/// Bytes that were text before.
pub const fn text(bytes: &'static [u8]) -> &'static str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_not_utf8) => unreachable!(),
    }
}

/// The members of a JSON object, without its braces.
pub const fn members(object: &str) -> &str {
    let inner = object.trim_ascii();
    assert!(!inner.is_empty(), "the manifest's additions are empty: expected a JSON object");
    let (open, rest) = inner.as_bytes().split_at(1);
    assert!(open[0] == b'{' && rest[rest.len() - 1] == b'}', "the manifest's additions are not a JSON object");
    let (_, rest) = inner.split_at(1);
    let (members, _) = rest.split_at(rest.len() - 1);
    assert!(!members.trim_ascii().is_empty(), "the manifest's additions are an empty object: leave them out");
    members
}
