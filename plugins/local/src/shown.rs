//! Text of others in a message: one short line.

/// Characters; more than a person reads.
const LONGEST: usize = 128;

/// Shortens and escapes text, whatever it is, so that it is one short line.
pub(crate) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}
