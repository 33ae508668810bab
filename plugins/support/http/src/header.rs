//! Headers made of what a user gave, refused where they are none.

use http::{HeaderName, HeaderValue};
use mlflow_deploy_plugin_api::{Error, JSON, Result, Secret};

/// The name of a header.
///
/// # Errors
/// `INVALID_PARAMETER_VALUE` where it is none.
pub fn header_name(name: &str) -> Result<HeaderName> {
    HeaderName::try_from(name)
        .map_err(|_illegal| Error::invalid_parameter(format!("`{name}` is not the name of a header")))
}

/// The value of a header; `what` tells the user which one it is.
///
/// # Errors
/// `INVALID_PARAMETER_VALUE` where no header can hold it. The value is not repeated.
pub fn header_value(what: &str, value: &str) -> Result<HeaderValue> {
    HeaderValue::try_from(value).map_err(|_illegal| {
        Error::invalid_parameter(format!("the value of `{what}` has a character that no header can hold"))
    })
}

/// The value of a header that is never printed. Whether what a user gives is a key cannot be known, so it is treated
/// as one.
///
/// # Errors
/// As for [`header_value`].
pub fn secret_header(what: &str, value: &Secret) -> Result<HeaderValue> {
    let mut value = header_value(what, value.expose())?;
    value.set_sensitive(true);
    Ok(value)
}

/// The media type of inputs, as a header.
///
/// # Errors
/// As for [`header_value`].
pub fn content_type(content_type: &str) -> Result<HeaderValue> {
    header_value("content_type", if content_type.is_empty() { JSON } else { content_type })
}
