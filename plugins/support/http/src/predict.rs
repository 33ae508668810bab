//! The common parts of predictions: the endpoint, the inputs, and the response in JSON.

use mlflow_deploy_plugin_api::{Error, Payload, Result, call};

use crate::Response;

/// Returns the endpoint of a prediction; see [`named`].
///
/// # Errors
/// `INVALID_PARAMETER_VALUE` if it is missing.
pub fn endpoint(endpoint: Option<String>, deployment_name: Option<String>, target: &str) -> Result<String> {
    let missing = || Error::invalid_parameter("no endpoint given: set `endpoint`");
    named(endpoint, deployment_name, target).ok_or_else(missing)
}

/// Returns the endpoint of a prediction, or else the deployment's name, because each endpoint has one deployment.
/// `target` describes the target in the warning if both are given, such as `a gateway`.
pub fn named(endpoint: Option<String>, deployment_name: Option<String>, target: &str) -> Option<String> {
    if let (Some(endpoint), Some(deployment)) = (&endpoint, &deployment_name)
        && endpoint != deployment
    {
        call::warn(format!(
            "ignoring the deployment name `{deployment}`: {target} is addressed by endpoint, here `{endpoint}`"
        ));
    }
    endpoint.or(deployment_name)
}

/// Returns the inputs.
///
/// # Errors
/// `INVALID_PARAMETER_VALUE` if they are empty.
pub fn require_inputs(inputs: &Payload) -> Result<&Payload> {
    if inputs.bytes().is_empty() {
        return Err(Error::invalid_parameter("no inputs given: pass JSON, such as `{\"messages\": […]}`"));
    }
    Ok(inputs)
}

/// Returns the body of a response, unchanged except for a byte order mark.
///
/// # Errors
/// `INVALID_PARAMETER_VALUE` if the server streams, `INTERNAL_ERROR` if it answers with text.
pub fn prediction(response: Response) -> Result<Payload> {
    let media_type = response.payload.media_type();
    if response.payload.bytes().is_empty() {
        return Ok(Payload::empty());
    }
    match media_type.as_str() {
        "text/event-stream" => Err(Error::invalid_parameter(
            "the server streamed the response because the inputs contain `stream`: remove it, or use `predict_stream` (on \
             the command line, `predict --stream`)",
        )),
        text if text.starts_with("text/") => Err(Error::internal(format!(
            "the server answered with `{text}`, but JSON was expected; check the target's URL"
        ))),
        _ => Ok(without_byte_order_mark(response.payload)),
    }
}

/// Removes a byte order mark, which JSON does not allow but some servers send.
fn without_byte_order_mark(payload: Payload) -> Payload {
    match payload.bytes().strip_prefix(b"\xef\xbb\xbf") {
        Some(json) => Payload::new(payload.content_type(), json),
        None => payload,
    }
}
