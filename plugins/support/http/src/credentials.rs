//! The credentials of a client, and the `Authorization` header that contains them.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderValue;
use mlflow_deploy_plugin_api::{Error, Result, Secret};

use crate::text::trim;

/// The credentials that a client sends in the `Authorization` header.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credentials {
    /// A user name and a password, for Basic authentication.
    Basic(String, Secret),
    /// A token, for Bearer authentication.
    Bearer(Secret),
}

impl Credentials {
    /// Returns the value of the `Authorization` header, marked as sensitive so that it is never printed. Removes the
    /// blanks and line ends around a token, which remain if the token comes from `$(cat …)` or a file.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if a token has characters that a header cannot contain, such as a line break.
    pub fn header(&self) -> Result<HeaderValue> {
        self.header_of("the token")
    }

    /// Returns the same as [`header`](Self::header). `source` describes the token in the error.
    ///
    /// # Errors
    /// Fails as [`header`](Self::header) does.
    pub fn header_of(&self, source: &str) -> Result<HeaderValue> {
        let text = match self {
            Self::Basic(username, password) => {
                format!("Basic {}", BASE64_STANDARD.encode(format!("{username}:{}", password.expose())))
            }
            Self::Bearer(token) => format!("Bearer {}", check_token(source, token)?),
        };
        let mut value = HeaderValue::try_from(text)
            .map_err(|_illegal| Error::invalid_parameter(format!("{source} is not valid in a header")))?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// Returns a token without the blanks around it. `source` describes the token in the error.
///
/// # Errors
/// `INVALID_PARAMETER_VALUE` if the token contains characters other than printable ASCII. The error does not contain
/// the token.
pub(crate) fn check_token<'a>(source: &str, token: &'a Secret) -> Result<&'a str> {
    let token = trim(token.expose());
    if token.chars().all(|each| matches!(each, ' '..='~')) {
        return Ok(token);
    }
    let found = match token.chars().find(|each| !matches!(each, ' '..='~')) {
        Some('\t') => "a tab",
        Some('\r' | '\n') => "a line break",
        Some(other) if other.is_ascii() => "a control character",
        _ => "a character that is not ASCII",
    };
    Err(Error::invalid_parameter(format!(
        "{source} contains {found}, but a token is one line of ASCII: copy the token again"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_password() {
        let basic = Credentials::Basic("me".to_owned(), Secret::new("pw"));
        assert_eq!(format!("{basic:?}"), r#"Basic("me", <redacted>)"#);
        assert_eq!(format!("{:?}", basic.header().unwrap()), "Sensitive");
    }

    #[test]
    fn basic_credentials_are_encoded_as_in_mlflow() {
        let basic = Credentials::Basic("us:er".to_owned(), Secret::new("pä ss"));
        assert_eq!(basic.header().unwrap(), "Basic dXM6ZXI6cMOkIHNz");
    }

    #[test]
    fn the_character_that_a_token_cannot_contain_is_named() {
        for (token, found) in
            [("a\tb", "a tab"), ("a\nb", "a line break"), ("a\x07b", "a control character"), ("aé", "a character that")]
        {
            let error = check_token("`OPENAI_API_KEY`", &Secret::new(token)).unwrap_err();
            assert!(error.message().starts_with(&format!("`OPENAI_API_KEY` contains {found}")), "{error}");
        }
    }

    #[test]
    fn a_token_is_one_line_of_ascii() {
        for token in ["abc", " abc\r\n", "\u{feff}abc\n", "\tabc "] {
            assert_eq!(Credentials::Bearer(Secret::new(token)).header().unwrap(), "Bearer abc", "{token:?}");
        }
        for (token, reason) in [
            ("abc\ndef", "`KEY` contains a line break, but"),
            ("\u{201c}abc\u{201d}", "`KEY` contains a character that is not ASCII, but"),
            ("abc\u{200b}", "`KEY` contains a character that is not ASCII, but"),
        ] {
            let error = Credentials::Bearer(Secret::new(token)).header_of("`KEY`").unwrap_err();
            assert!(error.message().starts_with(reason) && !error.message().contains("abc"), "{error}");
        }
    }
}
