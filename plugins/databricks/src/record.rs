//! What the API answers, as far as it has to be read. Records keep every field, in the bytes they came in.

use mlflow_deploy_http::Response;
use mlflow_deploy_plugin_api::{JSON, Payload, Result};
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
    let page: Page<'_> = answer.parse("a list of endpoints")?;
    if let Some(endpoints) = page.endpoints {
        answer.parse_part::<Vec<&RawValue>>(endpoints, "a list of endpoints")?;
    }
    Ok(Payload::new(JSON, page.endpoints.map_or("[]", RawValue::get)))
}

/// An answer that must be an object.
///
/// # Errors
/// `INTERNAL_ERROR` where it is not.
pub(crate) fn object(answer: &Response) -> Result<Value> {
    let value: Value = answer.parse("an endpoint")?;
    if value.is_object() { Ok(value) } else { Err(answer.unexpected("an endpoint", "expected a JSON object")) }
}
