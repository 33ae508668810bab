//! Text as editors, shells and files of secrets leave it, and the text of an error.

use std::error::Error as StdError;

/// Removes blanks, line ends and byte order marks at both ends of a text.
pub fn trim(text: &str) -> &str {
    text.trim_matches(|each: char| each.is_whitespace() || each == '\u{feff}')
}

/// Removes a byte order mark at the beginning of a text, and line ends at its end. Keeps blanks, because a password may
/// begin or end with them.
pub(crate) fn trim_lines(text: &str) -> &str {
    text.trim_start_matches('\u{feff}').trim_end_matches(['\r', '\n'])
}

/// Returns the innermost cause, such as `Connection refused (os error 111)`.
pub(crate) fn innermost(error: &(dyn StdError + 'static)) -> String {
    let mut reason = error;
    while let Some(next) = reason.source() {
        reason = next;
    }
    reason.to_string()
}
