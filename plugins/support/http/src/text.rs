//! Removes the blanks, line ends and byte order marks that editors and shells leave in a text.

/// Removes blanks, line ends and byte order marks at both ends of a text.
pub fn trim(text: &str) -> &str {
    text.trim_matches(|each: char| each.is_whitespace() || each == '\u{feff}')
}

/// Removes a byte order mark at the beginning of a text, and line ends at its end. Keeps blanks, because a password may
/// begin or end with them.
pub(crate) fn trim_lines(text: &str) -> &str {
    text.trim_start_matches('\u{feff}').trim_end_matches(['\r', '\n'])
}
