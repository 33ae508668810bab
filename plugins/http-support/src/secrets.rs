//! What a client sent to prove who it is, kept out of everything that is said: servers like to repeat it.
//!
//! A text is masked before it is cut. Of a secret that crosses a cut only the beginning is left, which nobody knows again.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::header::{AUTHORIZATION, PROXY_AUTHORIZATION};

use crate::Secret;
use crate::send::{Hidden, Request};

/// What stands in the place of a secret.
const HIDDEN: &str = "<redacted>";

/// To hide a shorter text would hide half of a message, and keep nothing secret.
const SHORTEST: usize = 6;

/// The secrets of a request, the longest first: one may be a part of another.
#[derive(Clone, Debug)]
pub(crate) struct Mask(Arc<[Secret]>);

impl Mask {
    /// Hides these texts, also in the form that they have in JSON.
    pub(crate) fn new(secrets: impl IntoIterator<Item = String>) -> Self {
        let both = secrets.into_iter().flat_map(|text| {
            let json = serde_json::to_string(&text).expect("a text has a JSON form");
            [json[1..json.len() - 1].to_owned(), text]
        });
        let mut texts: Vec<_> = both.filter(|text| text.len() >= SHORTEST).collect();
        texts.sort_unstable_by(|one, other| (Reverse(one.len()), one).cmp(&(Reverse(other.len()), other)));
        texts.dedup();
        Self(texts.into_iter().map(Secret::new).collect())
    }

    /// Hides what a request has in its sensitive headers, and what it says to be secret in its body.
    pub(crate) fn of(request: &Request) -> Self {
        let sensitive = request.headers().iter().filter(|(_, value)| value.is_sensitive());
        let in_headers = sensitive.flat_map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            if name == AUTHORIZATION || name == PROXY_AUTHORIZATION {
                of_credentials(&value)
            } else {
                with_parts(&value)
            }
        });
        let in_body = request.extensions().get::<Hidden>().into_iter().flat_map(|hidden| &hidden.0);
        Self::new(in_headers.chain(in_body.map(|secret| secret.expose().to_owned())))
    }

    /// The text without the secrets, without the beginning of one at its end, where whoever sent it may have cut it, and
    /// without whatever looks like a key of OpenAI's: `sk-` and eight characters or more.
    pub(crate) fn hide(&self, text: &str) -> String {
        let mut text = self.0.iter().fold(Cow::Borrowed(text), |text, secret| {
            if text.contains(secret.expose()) { text.replace(secret.expose(), HIDDEN).into() } else { text }
        });
        if let Some(cut) = self.0.iter().filter_map(|secret| beginning_at_end(&text, secret.expose())).max() {
            text = format!("{}{HIDDEN}", &text[..text.len() - cut]).into();
        }
        without_keys(&text)
    }
}

/// What the value of `Authorization` hides: all but the scheme, and of `Basic` the password that is encoded in it.
fn of_credentials(value: &str) -> Vec<String> {
    let Some((scheme, secret)) = value.split_once(' ') else { return with_parts(value) };
    let mut secrets = with_parts(secret.trim());
    if scheme.eq_ignore_ascii_case("basic")
        && let Ok(decoded) = BASE64_STANDARD.decode(secret.trim())
    {
        let both = String::from_utf8_lossy(&decoded);
        secrets.extend(both.split_once(':').map(|(_username, password)| password.to_owned()));
    }
    secrets
}

/// A value, and the parts that a server may repeat alone, as of `Cookie: session=…; theme=…`.
fn with_parts(value: &str) -> Vec<String> {
    let parts = value.split([' ', ';', '=']).filter(|part| *part != value);
    [value].into_iter().chain(parts).map(str::to_owned).collect()
}

/// How much at the end of a text is the beginning of a secret.
fn beginning_at_end(text: &str, secret: &str) -> Option<usize> {
    let ends_with = |length: &usize| text.as_bytes().ends_with(&secret.as_bytes()[..*length]);
    (SHORTEST..secret.len()).rev().filter(|length| secret.is_char_boundary(*length)).find(ends_with)
}

fn without_keys(text: &str) -> String {
    let is_key = |each: char| each.is_ascii_alphanumeric() || "-_*.".contains(each);
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("sk-") {
        let (before, from) = rest.split_at(start);
        let key = from.find(|each| !is_key(each)).unwrap_or(from.len());
        let begins_a_word = !before.ends_with(char::is_alphanumeric);
        masked.push_str(before);
        masked.push_str(if begins_a_word && key >= "sk-".len() + 8 { HIDDEN } else { &from[..key] });
        rest = &from[key..];
    }
    masked + rest
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn mask(secrets: &[&str]) -> Mask {
        Mask::new(secrets.iter().map(|text| (*text).to_owned()))
    }

    /// The mask of a request with this sensitive header.
    fn of_header(name: &str, value: &str) -> Mask {
        let mut value = HeaderValue::from_str(value).unwrap();
        value.set_sensitive(true);
        Mask::of(&http::Request::builder().header(name, value).body(bytes::Bytes::new()).unwrap())
    }

    #[test]
    fn keys_and_the_client_s_own_secrets_are_hidden() {
        let masked = mask(&["dapi123"]).hide("Incorrect key sk-proj-ab12***xyz, a task-force, sk-1, token dapi123");
        assert_eq!(masked, "Incorrect key <redacted>, a task-force, sk-1, token <redacted>");
        assert_eq!(mask(&[]).hide("sk-"), "sk-");
        assert_eq!(mask(&[]).hide("disk-abcdefghijk"), "disk-abcdefghijk");
    }

    #[test]
    fn a_secret_within_another_leaves_nothing_of_it() {
        assert_eq!(mask(&["abcdef", "abcdef-ghijkl"]).hide("abcdef-ghijkl, abcdef"), "<redacted>, <redacted>");
    }

    #[test]
    fn a_secret_is_known_in_json_too() {
        let secret = "pass\"word\"";
        let said = serde_json::json!({"message": format!("bad {secret}!")}).to_string();
        assert_eq!(mask(&[secret]).hide(&said), r#"{"message":"bad <redacted>!"}"#);
    }

    #[test]
    fn the_beginning_of_a_secret_is_hidden_where_a_text_was_cut() {
        let token = mask(&["dapi0123456789"]);
        assert_eq!(token.hide("bad dapi0123456789 dapi01234"), "bad <redacted> <redacted>");
        assert_eq!(token.hide("bad dapi0"), "bad dapi0", "that says nothing");
        assert_eq!(mask(&["ßßßßßß"]).hide("ßßßßß"), "<redacted>");
        assert_eq!(mask(&["dapi0123456789", "X-dapi0123"]).hide("bad X-dapi012"), "bad <redacted>");
    }

    #[test]
    fn of_basic_the_password_is_hidden_as_well() {
        // bob:hunter2:hunter2
        let mask = of_header("Authorization", "Basic Ym9iOmh1bnRlcjI6aHVudGVyMg==");
        assert_eq!(mask.hide("refused: bob:hunter2:hunter2"), "refused: bob:<redacted>");
        assert_eq!(mask.hide("refused: Basic Ym9iOmh1bnRlcjI6aHVudGVyMg=="), "refused: Basic <redacted>");
    }

    #[test]
    fn other_headers_are_hidden_whole_and_in_their_parts() {
        for (name, value, said, shown) in [
            ("Cookie", "session=s3cret-1; theme=dark", "no s3cret-1", "no <redacted>"),
            ("Cookie", "session=s3cret-1; theme=dark", "no session=s3cret-1; theme=dark", "no <redacted>"),
            ("X-Key", "first-half second-half", "first-half?", "<redacted>?"),
            ("X-Key", "first-half second-half", "second-half?", "<redacted>?"),
            ("X-Key", "first-half second-half", "first-half second-half?", "<redacted>?"),
            ("Authorization", "Bearer dapi0123", "Bearer dapi0123", "Bearer <redacted>"),
            ("Authorization", "dapi0123", "dapi0123", "<redacted>"),
        ] {
            assert_eq!(of_header(name, value).hide(said), shown, "{name}: {value}");
        }
        let plain = http::Request::builder().header("Cookie", "session=public-1").body(bytes::Bytes::new()).unwrap();
        assert_eq!(Mask::of(&plain).hide("public-1"), "public-1");
    }
}
