//! Credentials and their `Authorization` header.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderValue;
use mlflow_deploy_plugin_api::{Error, Result, Secret};

/// The credentials of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credentials {
    /// A user name and a password.
    Basic(String, Secret),
    /// A token.
    Bearer(Secret),
}

impl Credentials {
    /// Returns the value of the `Authorization` header, marked as sensitive so that it is never printed.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if a token has characters that a header cannot contain, such as a line break.
    pub fn header(&self) -> Result<HeaderValue> {
        let text = match self {
            Self::Basic(username, password) => {
                format!("Basic {}", BASE64_STANDARD.encode(format!("{username}:{}", password.expose())))
            }
            Self::Bearer(token) => format!("Bearer {}", token.expose()),
        };
        let mut value = HeaderValue::try_from(text).map_err(|_illegal| {
            Error::invalid_parameter("the token has a character that a header cannot contain, such as a line break")
        })?;
        value.set_sensitive(true);
        Ok(value)
    }
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
    fn a_token_with_a_line_break_is_rejected_and_not_shown() {
        let error = Credentials::Bearer(Secret::new("abc\ndef")).header().unwrap_err();
        assert!(!error.message().contains("abc"), "{error}");
    }
}
