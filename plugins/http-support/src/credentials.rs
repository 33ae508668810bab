//! What must never be printed: a text that hides itself, and the credentials made of it.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderValue;
use mlflow_deploy_plugin_api::{Error, Result};
use serde::Deserialize;

/// A text that prints as `<redacted>`.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text. Whoever asks for it takes care of where it goes.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("<redacted>")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("<redacted>")
    }
}

/// Who a client is to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credentials {
    /// A user name and a password.
    Basic(String, Secret),
    /// A token.
    Bearer(Secret),
}

impl Credentials {
    /// The value of the `Authorization` header, marked so that it is never printed.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` where a token has characters that no header can hold, such as a line break.
    pub fn header(&self) -> Result<HeaderValue> {
        let text = match self {
            Self::Basic(username, password) => {
                format!("Basic {}", BASE64_STANDARD.encode(format!("{username}:{}", password.expose())))
            }
            Self::Bearer(token) => format!("Bearer {}", token.expose()),
        };
        let mut value = HeaderValue::try_from(text).map_err(|_illegal| {
            Error::invalid_parameter("the token has a character that no header can hold, such as a line break")
        })?;
        value.set_sensitive(true);
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_secret_is_printed() {
        let token = Secret::new("dapi123");
        assert_eq!(format!("{token} {token:?}"), "<redacted> <redacted>");
        let basic = Credentials::Basic("me".to_owned(), Secret::new("pw"));
        assert_eq!(format!("{basic:?}"), r#"Basic("me", <redacted>)"#);
        assert_eq!(format!("{:?}", basic.header().unwrap()), "Sensitive");
    }

    #[test]
    fn basic_is_encoded_as_mlflow_does() {
        let basic = Credentials::Basic("us:er".to_owned(), Secret::new("pä ss"));
        assert_eq!(basic.header().unwrap(), "Basic dXM6ZXI6cMOkIHNz");
    }

    #[test]
    fn a_token_with_a_line_break_is_refused_without_showing_it() {
        let error = Credentials::Bearer(Secret::new("abc\ndef")).header().unwrap_err();
        assert!(!error.message().contains("abc"), "{error}");
    }
}
