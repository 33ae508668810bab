//! The encodings in which a server may repeat a secret, and a search for any of them in a text.

use std::fmt::Write;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD};

/// The number of consecutive characters of an encoded secret that count as a leak.
const WINDOW: usize = 8;

/// Returns a secret in many encodings, such as percent-encoding and Base64. Each has a name.
pub fn spellings(secret: &str) -> Vec<(&'static str, String)> {
    let each = |spell: &dyn Fn(char) -> String| secret.chars().map(spell).collect::<String>();
    let odd = |spell: &dyn Fn(char) -> String| {
        each(&|char| if char.is_ascii_alphanumeric() { char.to_string() } else { spell(char) })
    };
    let percent = |char: char| char.to_string().bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let unicode = |char: char| char.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect();
    let decimal = |char: char| format!("&#{};", u32::from(char));
    let user = format!("alice:{secret}");
    let bytes = secret.as_bytes();
    vec![
        ("plain", secret.to_owned()),
        ("percent", odd(&percent)),
        ("percent-lower", odd(&|char| percent(char).to_lowercase())),
        ("percent-all", each(&percent)),
        ("percent-twice", odd(&percent).replace('%', "%25")),
        ("form", odd(&|char| if char == ' ' { "+".to_owned() } else { percent(char) })),
        ("json-slash", secret.replace('/', "\\/")),
        ("json-gson", secret.replace('=', "\\u003d").replace('+', "\\u002b").replace('&', "\\u0026")),
        ("json-upper", odd(&unicode).replace("\\u002b", "\\u002B").replace("\\u002f", "\\u002F")),
        ("json-all", each(&unicode)),
        ("json-twice", odd(&unicode).replace('\\', "\\\\")),
        ("html", secret.replace('&', "&amp;").replace('/', "&sol;").replace('+', "&plus;").replace('=', "&equals;")),
        ("html-decimal", odd(&decimal)),
        ("html-zeros", odd(&|char| format!("&#{:07};", u32::from(char)))),
        ("html-hex", odd(&|char| format!("&#x{:X};", u32::from(char)))),
        ("html-twice", odd(&decimal).replace('&', "&amp;")),
        ("base64", BASE64_STANDARD.encode(secret)),
        ("base64-bare", BASE64_STANDARD_NO_PAD.encode(secret)),
        ("base64-url", BASE64_URL_SAFE.encode(secret)),
        ("base64-basic", BASE64_STANDARD.encode(&user)),
        ("base64-url-bare", BASE64_URL_SAFE_NO_PAD.encode(&user)),
        ("base64-behind-1", BASE64_STANDARD.encode([b":", bytes].concat())),
        ("base64-behind-2", BASE64_STANDARD.encode([b"::", bytes, b":"].concat())),
        ("base64-percent", BASE64_STANDARD.encode(&user).replace('=', "%3D").replace('/', "%2F").replace('+', "%2B")),
        ("hex", bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))),
        ("hex-upper", bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02X}"))),
        ("lower", secret.to_lowercase()),
    ]
}

/// Returns a secret in all encodings of [`spellings`], joined into one text. The text does not contain quotes.
pub fn all(secret: &str) -> String {
    spellings(secret).into_iter().fold(String::new(), |mut all, (_, spelling)| {
        write!(all, "{spelling} , ").expect("writing to a string does not fail");
        all
    })
}

/// Searches a text for eight consecutive characters of the secret in any encoding of [`spellings`]. Also searches the
/// text without its JSON escapes. Returns the name of the encoding and the characters found, or `None` if the text does
/// not contain any.
pub fn leak(text: &str, secret: &str) -> Option<(&'static str, String)> {
    let unescaped = text.replace("\\\\", "\\").replace("\\\"", "\"");
    spellings(secret).into_iter().find_map(|(name, spelling)| {
        // The first characters of these spellings encode the user name, which is not secret.
        let own = if name.contains("basic") || name.contains("url-bare") || name.contains("percent") { 12 } else { 0 };
        let own = if name.starts_with("base64") { own } else { 0 };
        let chars: Vec<char> = spelling.chars().skip(own).collect();
        let window = chars.windows(WINDOW).map(|window| window.iter().collect::<String>());
        let found = window.into_iter().find(|window| text.contains(window) || unescaped.contains(window));
        found.map(|found| (name, found))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_any_spelling_is_a_leak() {
        let secret = "S3cr3tT0k3nQw/ErTy+abcdef==";
        for (name, spelling) in spellings(secret) {
            let middle = &spelling[spelling.len() / 2 - 6..spelling.len() / 2 + 6];
            assert!(leak(&format!("x{middle}x"), secret).is_some(), "{name}");
        }
        assert_eq!(leak("nothing of it: S3cr3tT alice", secret), None);
    }
}
