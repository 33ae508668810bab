//! Decodes text to bytes. Each byte comes with the range of the text that encodes it.

use std::ops::Range;

/// A byte of decoded text, and the range of the original text that encodes it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Unit {
    pub(super) byte: u8,
    pub(super) source: Range<usize>,
}

/// Returns the bytes of the text without decoding escapes.
pub(super) fn literal(text: &str) -> Vec<Unit> {
    text.bytes().enumerate().map(|(index, byte)| Unit { byte, source: index..index + 1 }).collect()
}

/// Decodes every escape once: percent-encoding, JSON escapes, and HTML entities. Omits a truncated escape at the end
/// of the text. Returns `None` if the text has no escape.
pub(super) fn decode(units: &[Unit]) -> Option<Vec<Unit>> {
    if !units.iter().any(|unit| matches!(unit.byte, b'%' | b'\\' | b'&' | b'/')) {
        return None;
    }
    let bytes: Vec<u8> = units.iter().map(|unit| unit.byte).collect();
    let mut decoded = Vec::with_capacity(units.len());
    let (mut index, mut is_changed) = (0, false);
    while let Some(unit) = units.get(index) {
        match escape(&bytes[index..]) {
            Escape::None => {
                decoded.push(unit.clone());
                index += 1;
            }
            Escape::Byte(byte, length) => {
                let source = unit.source.start..units[index + length - 1].source.end;
                decoded.push(Unit { byte, source });
                (index, is_changed) = (index + length, true);
            }
            Escape::Char(char, length) => {
                let source = unit.source.start..units[index + length - 1].source.end;
                let mut buffer = [0; 4];
                let bytes = char.encode_utf8(&mut buffer).bytes();
                decoded.extend(bytes.map(|byte| Unit { byte, source: source.clone() }));
                (index, is_changed) = (index + length, true);
            }
            Escape::Cut => return Some(decoded),
        }
    }
    is_changed.then_some(decoded)
}

/// The result of looking for an escape sequence at the start of a byte string.
enum Escape {
    /// A decoded byte, and the length of its escape sequence.
    Byte(u8, usize),
    /// A decoded character, and the length of its escape sequence.
    Char(char, usize),
    /// A truncated escape sequence, at the end of the text.
    Cut,
    None,
}

/// The maximum length of a truncated escape sequence, such as `\ud83d\ude0`.
const MAX_CUT: usize = 11;

fn escape(bytes: &[u8]) -> Escape {
    let found = match bytes {
        [b'%', b'u' | b'U', rest @ ..] => hex(rest, 4).and_then(char::from_u32).map(|char| Escape::Char(char, 6)),
        [b'%', rest @ ..] => hex(rest, 2).and_then(|byte| u8::try_from(byte).ok()).map(|byte| Escape::Byte(byte, 3)),
        [b'\\', rest @ ..] => backslash(rest),
        // A URL parser turns the backslash of `\u` into a slash.
        [b'/', b'u', rest @ ..] => {
            return hex(rest, 4).and_then(char::from_u32).map_or(Escape::None, |char| Escape::Char(char, 6));
        }
        [b'&', rest @ ..] => entity(rest),
        _ => return Escape::None,
    };
    let is_open = |rest: &[u8]| rest.iter().all(|byte| byte.is_ascii_alphanumeric() || b"#{\\".contains(byte));
    match found {
        Some(found) => found,
        None if bytes.len() <= MAX_CUT && is_open(&bytes[1..]) => Escape::Cut,
        None => Escape::None,
    }
}

/// Parses the first `digits` bytes as a hexadecimal number; `None` if one of them is not a digit.
fn hex(bytes: &[u8], digits: usize) -> Option<u32> {
    let digits = bytes.get(..digits)?;
    digits.iter().try_fold(0, |number, digit| Some(number << 4 | char::from(*digit).to_digit(16)?))
}

fn backslash(rest: &[u8]) -> Option<Escape> {
    Some(match rest {
        [b'u' | b'U', b'{', number @ ..] => {
            let (char, length) = number_of(number, 16)?;
            let close = usize::from(number.get(length) == Some(&b'}'));
            Escape::Char(char, 3 + length + close)
        }
        [b'u' | b'U', number @ ..] => {
            let first = hex(number, 4)?;
            match (char::from_u32(first), &number[4..]) {
                (Some(char), _) => Escape::Char(char, 6),
                (None, [b'\\', b'u' | b'U', number @ ..]) => {
                    let pair = [first, hex(number, 4)?].map(|half| u16::try_from(half).unwrap_or_default());
                    Escape::Char(char::decode_utf16(pair).next()?.ok()?, 12)
                }
                _ => return None,
            }
        }
        [b'x' | b'X', number @ ..] => Escape::Byte(u8::try_from(hex(number, 2)?).ok()?, 4),
        [b'b' | b'f' | b'n' | b'r' | b't', ..] => Escape::Byte(b'\n', 2),
        [byte, ..] if byte.is_ascii_punctuation() => Escape::Byte(*byte, 2),
        _ => return None,
    })
}

/// Decodes an HTML entity; `rest` is the text after the `&`. As in browsers, the semicolon of a numeric entity may be
/// missing.
fn entity(rest: &[u8]) -> Option<Escape> {
    let (char, length) = match rest {
        [b'#', b'x' | b'X', number @ ..] => number_of(number, 16).map(|(char, length)| (char, 2 + length))?,
        [b'#', number @ ..] => number_of(number, 10).map(|(char, length)| (char, 1 + length))?,
        _ => {
            let length = rest.iter().take(NAME + 1).position(|byte| !byte.is_ascii_alphanumeric())?;
            let name = str::from_utf8(&rest[..length]).ok()?;
            if rest[length] != b';' {
                return None;
            }
            (named(name)?, length)
        }
    };
    let close = usize::from(rest.get(length) == Some(&b';'));
    Some(Escape::Char(char, 1 + length + close))
}

/// Parses the number at the start of `bytes`. Returns the character with that code point, and the number of digits.
fn number_of(bytes: &[u8], radix: u32) -> Option<(char, usize)> {
    let digits = bytes.iter().map_while(|byte| char::from(*byte).to_digit(radix));
    let (mut number, mut length) = (0_u32, 0);
    for digit in digits {
        (number, length) = (number.saturating_mul(radix).saturating_add(digit), length + 1);
    }
    if length == 0 { None } else { Some((char::from_u32(number)?, length)) }
}

/// The maximum length of the name of a known HTML entity.
const NAME: usize = 8;

/// The names of the HTML 5 entities for ASCII punctuation.
const PUNCTUATION: [(&str, char); 43] = [
    ("Hat", '^'),
    ("NewLine", '\n'),
    ("QUOT", '"'),
    ("Tab", '\t'),
    ("AMP", '&'),
    ("GT", '>'),
    ("LT", '<'),
    ("UnderBar", '_'),
    ("amp", '&'),
    ("apos", '\''),
    ("ast", '*'),
    ("bsol", '\\'),
    ("colon", ':'),
    ("comma", ','),
    ("commat", '@'),
    ("dash", '-'),
    ("dollar", '$'),
    ("equals", '='),
    ("excl", '!'),
    ("grave", '`'),
    ("gt", '>'),
    ("hyphen", '-'),
    ("lbrace", '{'),
    ("lbrack", '['),
    ("lcub", '{'),
    ("lowbar", '_'),
    ("lpar", '('),
    ("lsqb", '['),
    ("lt", '<'),
    ("num", '#'),
    ("percnt", '%'),
    ("period", '.'),
    ("plus", '+'),
    ("quest", '?'),
    ("quot", '"'),
    ("rbrace", '}'),
    ("rbrack", ']'),
    ("rcub", '}'),
    ("rpar", ')'),
    ("rsqb", ']'),
    ("semi", ';'),
    ("sol", '/'),
    ("verbar", '|'),
];

/// The names of the HTML entities for Latin-1 characters, in order, from U+00A0 on.
const LATIN: &str = "nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr deg plusmn sup2 \
                     sup3 acute micro para middot cedil sup1 ordm raquo frac14 frac12 frac34 iquest Agrave Aacute Acirc \
                     Atilde Auml Aring AElig Ccedil Egrave Eacute Ecirc Euml Igrave Iacute Icirc Iuml ETH Ntilde Ograve \
                     Oacute Ocirc Otilde Ouml times Oslash Ugrave Uacute Ucirc Uuml Yacute THORN szlig agrave aacute \
                     acirc atilde auml aring aelig ccedil egrave eacute ecirc euml igrave iacute icirc iuml eth ntilde \
                     ograve oacute ocirc otilde ouml divide oslash ugrave uacute ucirc uuml yacute thorn yuml";

fn named(name: &str) -> Option<char> {
    let punctuation = PUNCTUATION.iter().find(|(each, _)| *each == name).map(|(_, char)| *char);
    let latin =
        || (0xA0_u8..=0xFF).zip(LATIN.split(' ')).find(|(_, each)| *each == name).map(|(code, _)| char::from(code));
    punctuation.or_else(latin)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(units: &[Unit]) -> String {
        String::from_utf8(units.iter().map(|unit| unit.byte).collect()).unwrap()
    }

    #[test]
    fn every_escape_is_decoded_once() {
        for (given, expected) in [
            ("a%2Fb%2fc%252F%u00e9", "a/b/c%2Fé"),
            (r#"\/\"\\\u002b\u002B\u00E9\ud83d\ude00\x2f\u{2b}\n"#, "/\"\\++é😀/+\n"),
            ("&amp;&#43;&#x2b;&#X0000002B;&#0043 &plus;&eacute;&yuml;&nbsp;", "&++++ +éÿ\u{a0}"),
            (
                "100% sure, a & b, C:\\dir, \\ud83d\\n, &unknown; &#; &#x; &#99999999999;",
                "100% sure, a & b, C:\\dir, \
              \\ud83d\n, &unknown; &#; &#x; &#99999999999;",
            ),
        ] {
            assert_eq!(text(&decode(&literal(given)).unwrap()), expected);
        }
        assert_eq!(decode(&literal("plain")), None);
        assert_eq!(decode(&literal("100% & more than that")), None);
    }

    #[test]
    fn a_decoded_byte_has_the_range_of_its_escape() {
        let units = decode(&literal("a%2Fb")).unwrap();
        assert_eq!(units.into_iter().map(|unit| unit.source).collect::<Vec<_>>(), [0..1, 1..4, 4..5]);
    }

    #[test]
    fn a_truncated_escape_is_omitted() {
        for cut in ["%", "%2", "\\", "\\u", "\\u00e", "\\ud83d\\ud", "&", "&am", "&#x"] {
            assert_eq!(text(&decode(&literal(&format!("token{cut}"))).unwrap()), "token", "{cut}");
        }
    }
}
