//! Reads the responses of the Databricks API. The records in them are returned unchanged.

use mlflow_deploy_http::Response;
use mlflow_deploy_plugin_api::{JSON, Payload, Result};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// Returns the records in a response that lists endpoints. The response is a JSON object with the list, the bare list,
/// or, for a workspace without endpoints, an object without a list.
///
/// # Errors
/// `INTERNAL_ERROR` if the response is not a list of records.
pub(crate) fn list(response: &Response) -> Result<Payload> {
    #[derive(Deserialize)]
    struct Page<'a> {
        #[serde(borrow)]
        endpoints: Option<&'a RawValue>,
    }
    const EXPECTED: &str = "a list of endpoints";
    let page = match response.payload.bytes().trim_ascii_start().first() {
        Some(b'[') => Page { endpoints: Some(response.parse(EXPECTED)?) },
        _ => response.parse(EXPECTED)?,
    };
    if let Some(endpoints) = page.endpoints {
        response.parse_part::<Vec<&RawValue>>(endpoints, EXPECTED)?;
    }
    Ok(Payload::new(JSON, page.endpoints.map_or("[]", RawValue::get)))
}

/// Parses the record of an endpoint.
///
/// # Errors
/// `INTERNAL_ERROR` if the response is not a JSON object.
pub(crate) fn object(response: &Response) -> Result<Value> {
    let value: Value = response.parse("an endpoint")?;
    if value.is_object() { Ok(value) } else { Err(response.unexpected("an endpoint", "expected a JSON object")) }
}
