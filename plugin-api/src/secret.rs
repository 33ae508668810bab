//! A secret text, such as a token or a password.

use std::fmt;

use serde::Deserialize;

/// The text that is shown in place of a secret.
pub(crate) const REDACTED: &str = "<redacted>";

/// A secret text, such as a token or a password. It prints as `<redacted>`.
///
/// ```
/// use mlflow_deploy_plugin_api::Secret;
///
/// let token = Secret::new("dapi123");
/// assert_eq!(format!("{token} {token:?}"), "<redacted> <redacted>");
/// assert_eq!(token.expose(), "dapi123");
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Returns a secret with this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the secret text. The caller must not print it.
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
        formatter.write_str(REDACTED)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(REDACTED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_and_debug_of_a_secret_print_redacted() {
        let token = Secret::new("dapi123");
        assert_eq!(format!("{token} {token:?}"), "<redacted> <redacted>");
    }
}
