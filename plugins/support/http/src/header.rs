//! Parses the names and values of headers that a user has set.

use http::{HeaderName, HeaderValue};
use mlflow_deploy_plugin_api::{Error, JSON, Result, Secret};

use crate::credentials::check_token;
use crate::text::trim;

/// Parses the name of a header.
///
/// # Errors
/// `INVALID_PARAMETER_VALUE` if the name is invalid.
pub fn header_name(name: &str) -> Result<HeaderName> {
    HeaderName::try_from(name)
        .map_err(|_illegal| Error::invalid_parameter(format!("`{name}` is not a valid header name")))
}

/// Parses the value of a header, and removes the blanks around it. `what` names the value in the error.
///
/// # Errors
/// `INVALID_PARAMETER_VALUE` if the value has an invalid character. The error does not contain the value.
pub fn header_value(what: &str, value: &str) -> Result<HeaderValue> {
    HeaderValue::try_from(trim(value)).map_err(|_illegal| {
        Error::invalid_parameter(format!(
            "the value of `{what}` has a character that a header cannot contain, such as a line break"
        ))
    })
}

/// Parses the value of a header that may contain an API key. Marks the value as sensitive, so that it is never printed.
/// `what` names the value in the error.
///
/// # Errors
/// Fails as [`header_value`] does.
pub fn secret_header(what: &str, value: &Secret) -> Result<HeaderValue> {
    let mut value = header_value(what, value.expose())?;
    value.set_sensitive(true);
    Ok(value)
}

/// Parses an API key that is the whole value of a header, and marks it as sensitive. `source` names the key in the
/// error, such as `` `AZURE_OPENAI_API_KEY` ``.
///
/// # Errors
/// Fails as [`Credentials::header_of`](crate::Credentials::header_of) does.
pub fn key_header(source: &str, key: &Secret) -> Result<HeaderValue> {
    secret_header(source, &Secret::new(check_token(source, key)?))
}

/// Returns the media type of a request's inputs as the value of a `Content-Type` header.
///
/// # Errors
/// Fails as [`header_value`] does.
pub fn content_type(content_type: &str) -> Result<HeaderValue> {
    header_value("content_type", if content_type.is_empty() { JSON } else { content_type })
}
