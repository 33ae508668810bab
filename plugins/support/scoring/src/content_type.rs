//! The content type of a request: case-sensitive and with `charset=utf-8` at most, as MLflow's scoring server has it.

use crate::fault::{Fault, Kind};

/// What a request's body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Csv,
    Json,
}

/// Reads a content type.
pub(crate) fn format(content_type: &str) -> Result<Format, Fault> {
    let unsupported = |message: String| Err(Fault::new(Kind::UnsupportedMediaType, message));
    let mut parts = content_type.split(';').map(str::trim);
    let mime_type = parts.next().unwrap_or_default();
    for part in parts {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        if name != "charset" {
            return unsupported(format!("`{name}` is no parameter of a content type here: only `charset=utf-8` is"));
        }
        if !value.eq_ignore_ascii_case("utf-8") {
            return unsupported(format!("the charset `{value}` is not read: send UTF-8"));
        }
    }
    match mime_type {
        "application/json" => Ok(Format::Json),
        "text/csv" => Ok(Format::Csv),
        "application/vnd.apache.parquet" => {
            unsupported("Parquet is not read here: send `application/json` or `text/csv`".to_owned())
        }
        _ => unsupported(format!("the content type `{mime_type}` is none of `application/json` and `text/csv`")),
    }
}
