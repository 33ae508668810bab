//! Text of others in a message: one short line.

/// Characters; more than a person reads.
const MAX_LEN: usize = 128;

/// Shortens and escapes text, whatever it is, so that it is one short line.
pub(crate) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(MAX_LEN).flat_map(char::escape_debug).collect();
    if text.chars().nth(MAX_LEN).is_some() {
        shown.push('…');
    }
    shown
}
