//! Parses the content type of a request, as MLflow's scoring server does. It may have only the parameter
//! `charset=utf-8`. Upper and lower case are the same in a media type and in the name of a parameter.

use crate::error::{ProtocolError, ProtocolErrorKind};

/// The format of a request's body: CSV or JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyFormat {
    Csv,
    JsonReader,
}

/// Returns the format of the body that has this content type. Fails if the content type is not supported.
pub(crate) fn body_format(content_type: &str) -> Result<BodyFormat, ProtocolError> {
    let unsupported = |message: String| Err(ProtocolError::new(ProtocolErrorKind::UnsupportedMediaType, message));
    let mut parts = content_type.split(';').map(str::trim);
    let mime_type = parts.next().unwrap_or_default();
    for part in parts {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        if !name.eq_ignore_ascii_case("charset") {
            return unsupported(format!(
                "unsupported content type parameter `{name}`: only `charset=utf-8` is supported"
            ));
        }
        if !value.eq_ignore_ascii_case("utf-8") {
            return unsupported(format!("unsupported charset `{value}`: send UTF-8"));
        }
    }
    match mime_type.to_ascii_lowercase().as_str() {
        "application/json" => Ok(BodyFormat::JsonReader),
        "text/csv" => Ok(BodyFormat::Csv),
        "application/vnd.apache.parquet" => {
            unsupported("Parquet is not supported: send `application/json` or `text/csv`".to_owned())
        }
        _ => unsupported(format!("unsupported content type `{mime_type}`: send `application/json` or `text/csv`")),
    }
}
