//! Text as editors, shells and files of secrets leave it.

/// Removes a byte order mark, and blanks and line ends at both ends.
pub fn trim(text: &str) -> &str {
    text.trim_matches(|each: char| each.is_whitespace() || each == '\u{feff}')
}

/// Removes a byte order mark at the beginning and line ends at the end. A password may begin and end with blanks.
pub(crate) fn trim_lines(text: &str) -> &str {
    text.trim_start_matches('\u{feff}').trim_end_matches(['\r', '\n'])
}
