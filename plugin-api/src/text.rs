//! Escapes text from other programs, to show it on a terminal or in one line.
//!
//! Characters that control a terminal, reorder its text, or are invisible are written as escapes such as `\u{202e}`.
//! This module is not for text that a program reads: the bytes for a file or a pipe must stay unchanged.
//!
//! | kind | characters | shown |
//! |---|---|---|
//! | control | C0, DEL, C1 | escaped; [`block`] keeps line ends and tabs |
//! | direction | U+061C, U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069 | escaped |
//! | separators | U+2028, U+2029 | escaped |
//! | invisible | U+200B, U+2060, U+FEFF, soft hyphen, fillers, tag characters, noncharacters | escaped |
//! | joiners | U+200C, U+200D | kept between two non-ASCII characters, as in emoji and Persian; otherwise escaped |
//! | variation selectors | U+FE00 to U+FE0F | kept after a non-ASCII character; otherwise escaped |
//! | combining marks, private use | | kept: they are visible |

use std::borrow::Cow;
use std::path::Path;

/// Escapes the text so that it is one line. Line ends and tabs are escaped as well.
///
/// ```
/// use mlflow_deploy_plugin_api::text;
///
/// assert_eq!(text::line("1.0\nerror: \u{202e}x"), r"1.0\nerror: \u{202e}x");
/// assert_eq!(text::line("naïve 日本 👩\u{200d}🚀"), "naïve 日本 👩\u{200d}🚀");
/// ```
pub fn line(text: &str) -> Cow<'_, str> {
    escaped(text, |letter| letter.escape_default().to_string(), |_| false)
}

/// Returns a path as one line of text, escaped as [`line()`] does.
pub fn path(path: &Path) -> String {
    line(&path.to_string_lossy()).into_owned()
}

/// Returns a path as a word for a POSIX shell, quoted if it contains special characters.
pub fn shell_path(path: &Path) -> String {
    let path = path.to_string_lossy();
    let is_plain = |letter: char| letter.is_alphanumeric() || "/._-+@:,=".contains(letter);
    if path.chars().all(is_plain) { path.into_owned() } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

/// Escapes a text of several lines. Keeps line ends and tabs, but replaces `\r\n` by `\n`.
pub fn block(text: &str) -> Cow<'_, str> {
    let is_layout = |letter| matches!(letter, '\n' | '\t');
    if text.contains("\r\n") {
        let text = text.replace("\r\n", "\n");
        return Cow::Owned(escaped(&text, |letter| letter.escape_default().to_string(), is_layout).into_owned());
    }
    escaped(text, |letter| letter.escape_default().to_string(), is_layout)
}

/// Converts bytes to text and escapes the text as [`block`] does. Each byte that is not valid UTF-8 is written as an
/// escape, such as `\xff`.
pub fn block_of_bytes(bytes: &[u8]) -> String {
    bytes.utf8_chunks().fold(String::new(), |mut shown, chunk| {
        shown += &block(chunk.valid());
        chunk.invalid().iter().fold(shown, |shown, byte| shown + &format!("\\x{byte:02x}"))
    })
}

/// Escapes a message as [`block`] does. Indents the lines after the first, so that they do not look like separate
/// messages.
pub fn message(text: &str) -> String {
    block(text.trim_end()).replace('\n', "\n  ")
}

/// Returns a JSON text with the same meaning. The characters that [`block`] escapes are written as JSON escapes, such
/// as `\u202e`.
pub fn json(text: &str) -> Cow<'_, str> {
    let escape = |letter: char| match letter {
        // A `\r` in the text is white space between two tokens. It would move a terminal's cursor to the start of the
        // line.
        '\r' => " ".to_owned(),
        letter => {
            letter.encode_utf16(&mut [0; 2]).iter().fold(String::new(), |text, unit| text + &format!("\\u{unit:04x}"))
        }
    };
    escaped(text, escape, |letter| matches!(letter, '\n' | '\t'))
}

/// Escapes every character that is not safe to show, except the characters for which `is_kept` returns true.
fn escaped(text: &str, escape: impl Fn(char) -> String, is_kept: impl Fn(char) -> bool) -> Cow<'_, str> {
    let needs_care = |letter: char| !is_kept(letter) && !matches!(char_kind(letter), CharKind::Ascii | CharKind::Other);
    let Some(first) = text.find(needs_care) else { return Cow::Borrowed(text) };
    // The previous character decides if a joiner is kept.
    let start = text[..first].char_indices().next_back().map_or(0, |(start, _)| start);
    let mut shown = text[..start].to_owned();
    let (mut before, mut letters) = (CharKind::Ascii, text[start..].chars().peekable());
    while let Some(letter) = letters.next() {
        let this = char_kind(letter);
        let after = letters.peek().map_or(CharKind::Ascii, |after| char_kind(*after));
        let is_shown = match this {
            CharKind::Ascii | CharKind::Other => true,
            CharKind::Hidden => is_kept(letter),
            CharKind::Joiner => matches!(before, CharKind::Other | CharKind::Selector) && after == CharKind::Other,
            CharKind::Selector => before == CharKind::Other,
        };
        if is_shown {
            shown.push(letter);
        } else {
            shown += &escape(letter);
        }
        before = if is_shown { this } else { CharKind::Hidden };
    }
    Cow::Owned(shown)
}

/// The kind of a character, which determines if the character is shown or escaped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CharKind {
    /// A printable ASCII character. It is shown unchanged. A joiner beside it is escaped.
    Ascii,
    /// A character that is invisible, controls the terminal or moves other text. It is escaped.
    Hidden,
    /// A character that joins its neighbors, such as in an emoji.
    Joiner,
    /// Any other visible character. It is shown unchanged.
    Other,
    /// A variation selector, which selects the shape of the previous character.
    Selector,
}

fn char_kind(letter: char) -> CharKind {
    match letter {
        ' '..='~' => CharKind::Ascii,
        '\u{200c}' | '\u{200d}' => CharKind::Joiner,
        '\u{fe00}'..='\u{fe0f}' => CharKind::Selector,
        // Unicode's `Default_Ignorable_Code_Point`, separators of lines, and annotation characters.
        '\u{ad}'
        | '\u{34f}'
        | '\u{61c}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{17b4}'
        | '\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{3164}'
        | '\u{fdd0}'..='\u{fdef}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}' => CharKind::Hidden,
        letter if letter.is_control() || u32::from(letter) & 0xfffe == 0xfffe => CharKind::Hidden,
        _ => CharKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_direction_and_invisible_characters_are_escaped() {
        let hidden = "\u{0}\u{7}\u{1b}\u{7f}\u{80}\u{9b}\u{ad}\u{61c}\u{200b}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202e}\
                      \u{2060}\u{2066}\u{2069}\u{3164}\u{feff}\u{fffe}\u{ffff}\u{1ffff}\u{e0001}\u{e007f}\u{e0100}";
        for letter in hidden.chars() {
            let (text, code) = (format!("a{letter}b"), u32::from(letter));
            let shown = format!("a\\u{{{code:x}}}b");
            assert_eq!((line(&text), block(&text)), (shown.as_str().into(), shown.as_str().into()));
            let written = serde_json::to_string(&text).unwrap();
            assert!(json(&written).chars().all(|letter| (' '..='~').contains(&letter)), "{code:x}");
            assert_eq!(serde_json::from_str::<String>(&json(&written)).unwrap(), text, "{code:x}");
        }
    }

    #[test]
    fn a_joiner_is_kept_only_between_non_ascii_characters() {
        for kept in ["👩\u{200d}🚀", "❤\u{fe0f}\u{200d}🔥", "می\u{200c}خواهم", "e\u{301}", "क्\u{200d}ष", "日本"]
        {
            assert_eq!(line(kept), kept);
        }
        for (text, shown) in [
            ("op\u{200d}enai", r"op\u{200d}enai"),
            ("\u{200c}é", r"\u{200c}é"),
            ("é\u{200d}", r"é\u{200d}"),
            ("é\u{200d}\u{200d}é", r"é\u{200d}\u{200d}é"),
            ("a\u{fe0f}", r"a\u{fe0f}"),
            ("❤\u{fe0f}\u{fe0e}", "❤\u{fe0f}\\u{fe0e}"),
        ] {
            assert_eq!(line(text), shown);
        }
    }

    #[test]
    fn only_block_and_message_keep_line_ends() {
        assert_eq!(line("a\r\n\tb"), r"a\r\n\tb");
        assert_eq!(block("a\r\n\tb\rc"), "a\n\tb\\rc");
        assert_eq!(message("no\nerror: forged\r\nerror: again\n"), "no\n  error: forged\n  error: again");
        assert_eq!(block_of_bytes(b"\xc3\xa9\x9b2J\xff\xfe\n"), "é\\x9b2J\\xff\\xfe\n");
        assert_eq!(json("{\r\n\"a\":\r1}"), "{ \n\"a\": 1}");
    }
}
