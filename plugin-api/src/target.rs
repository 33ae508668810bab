//! Target URIs, which follow MLflow's rule: the scheme selects the plugin, and the plugin interprets the rest.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A target URI, such as `databricks`, `databricks://profile` or `http://localhost:5000`.
///
/// `Display` and `Debug` hide the user, the password, the query and the fragment.
///
/// ```
/// use mlflow_deploy_plugin_api::TargetUri;
///
/// let target: TargetUri = "databricks://my-profile".parse()?;
/// assert_eq!((target.scheme(), target.suffix()), ("databricks", "my-profile"));
/// # Ok::<(), mlflow_deploy_plugin_api::Error>(())
/// ```
///
/// Source: `mlflow.deployments.utils.parse_target_uri`. Unlike MLflow, this type also converts a name without a scheme
/// to lower case.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TargetUri {
    uri: String,
    scheme: String,
}

impl TargetUri {
    /// Parses a target URI: `name`, `name:/suffix`, `name://suffix`, or a URL. Surrounding white space is removed.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if the URI is empty or has no name before the colon.
    pub fn parse(uri: &str) -> Result<Self> {
        let uri = uri.trim_matches(|each: char| each.is_whitespace() || each == '\u{feff}');
        let name = split(uri).map_or(uri, |(scheme, _)| scheme);
        if name.is_empty() || name.starts_with([':', '/']) {
            return Err(Error::invalid_parameter(format!(
                "invalid target URI `{}`: expected `target`, `target:/suffix` or `target://suffix`",
                redacted(uri)
            )));
        }
        Ok(Self { uri: uri.to_owned(), scheme: name.to_lowercase() })
    }

    /// Returns the whole URI, without surrounding white space.
    pub fn as_str(&self) -> &str {
        &self.uri
    }

    /// Returns the scheme, which selects the plugin, in lower case.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Returns the part after the scheme and its slashes; empty for a URI that is only a name.
    pub fn suffix(&self) -> &str {
        split(&self.uri).map_or("", |(_, suffix)| suffix.trim_start_matches('/'))
    }
}

/// Splits a URI into its scheme and the rest after the colon. By RFC 3986, a scheme is a letter, followed by letters,
/// digits, `+`, `-` or `.`.
fn split(uri: &str) -> Option<(&str, &str)> {
    uri.split_once(':').filter(|(scheme, _)| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.chars().all(|each| each.is_ascii_alphanumeric() || "+-.".contains(each))
    })
}

/// Hides the user, the password, the query and the fragment, because displayed text may be logged.
impl fmt::Display for TargetUri {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&redacted(&self.uri))
    }
}

impl fmt::Debug for TargetUri {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// Returns a URI without its query, without its fragment, and without the part before its last `@`. That part may
/// contain a password, even in a malformed URI.
fn redacted(uri: &str) -> String {
    let uri = &uri[..uri.find(['?', '#']).unwrap_or(uri.len())];
    let (scheme, rest) = uri.split_once(':').map_or(("", uri), |(scheme, _)| uri.split_at(scheme.len() + 1));
    match rest.rsplit_once('@') {
        Some((secret, host)) => {
            let slashes = &secret[..secret.len() - secret.trim_start_matches('/').len()];
            format!("{scheme}{slashes}<redacted>@{host}")
        }
        None => uri.to_owned(),
    }
}

impl FromStr for TargetUri {
    type Err = Error;

    fn from_str(uri: &str) -> Result<Self> {
        Self::parse(uri)
    }
}

impl TryFrom<String> for TargetUri {
    type Error = Error;

    fn try_from(uri: String) -> Result<Self> {
        Self::parse(&uri)
    }
}

impl From<TargetUri> for String {
    fn from(target: TargetUri) -> Self {
        target.uri
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_and_suffixes_are_those_of_mlflow() {
        for (uri, scheme, suffix) in [
            ("databricks", "databricks", ""),
            ("Databricks", "databricks", ""),
            ("faketarget:/somesuffix", "faketarget", "somesuffix"),
            ("faketarget://somesuffix", "faketarget", "somesuffix"),
            ("HTTP://localhost:5000/a", "http", "localhost:5000/a"),
            ("localhost:5000", "localhost", "5000"),
            ("127.0.0.1:5000", "127.0.0.1:5000", ""),
            ("ray-serve", "ray-serve", ""),
            ("İ", "i\u{307}", ""),
            (" databricks\r\n", "databricks", ""),
            ("\u{feff}databricks://p\n", "databricks", "p"),
        ] {
            let target = TargetUri::parse(uri).unwrap();
            assert_eq!((target.scheme(), target.suffix()), (scheme, suffix), "{uri}");
        }
    }

    #[test]
    fn a_password_is_not_displayed() {
        for (uri, displayed) in [
            ("https://me:s3cr@t@host:1/a", "https://<redacted>@host:1/a"),
            ("https://me:s3/cret@host/", "https://<redacted>@host/"),
            ("https:/me:s3cret@host", "https:/<redacted>@host"),
            ("me:s3cret@host", "me:<redacted>@host"),
            ("https://host/?token=s3cret", "https://host/"),
            ("https://host/#s3cret", "https://host/"),
        ] {
            let target = TargetUri::parse(uri).unwrap();
            assert_eq!((target.to_string().as_str(), target.as_str()), (displayed, uri));
        }
    }

    #[test]
    fn a_uri_without_a_name_fails() {
        for uri in ["", ":", "://x", "/path"] {
            let error = TargetUri::parse(uri).unwrap_err();
            assert!(error.message().starts_with(&format!("invalid target URI `{uri}`")), "{error}");
        }
    }
}
