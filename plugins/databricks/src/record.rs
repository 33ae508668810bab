//! What the API answers, as far as it has to be read. Records keep every field, in the bytes they came in.

use mlflow_deploy_http::Response;
use mlflow_deploy_plugin_api::{Error, JSON, Payload, Result};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// The records of a list; a workspace without endpoints has none, and leaves the list out.
///
/// # Errors
/// `INTERNAL_ERROR` where the answer is no list of records.
pub(crate) fn list(answer: &Response) -> Result<Payload> {
    #[derive(Deserialize)]
    struct Page<'a> {
        #[serde(borrow)]
        endpoints: Option<&'a RawValue>,
    }
    let page: Page<'_> = serde_json::from_slice(answer.payload.bytes())
        .map_err(|error| Error::internal(format!("the server did not answer with a list of endpoints: {error}")))?;
    Ok(Payload::new(JSON, page.endpoints.map_or("[]", RawValue::get)))
}

/// An answer that must be an object.
///
/// # Errors
/// `INTERNAL_ERROR` where it is not.
pub(crate) fn object(answer: &Response) -> Result<Value> {
    let wrong = |reason: &str| Error::internal(format!("the server did not answer with an endpoint: {reason}"));
    let value: Value = serde_json::from_slice(answer.payload.bytes()).map_err(|error| wrong(&error.to_string()))?;
    if value.is_object() { Ok(value) } else { Err(wrong("expected a JSON object")) }
}
