//! Credentials, and the header that they make.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderValue;
use mlflow_deploy_plugin_api::{Error, Result, Secret};

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
    fn nothing_of_a_password_is_printed() {
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
