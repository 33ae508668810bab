//! What every prediction has in common: an endpoint, inputs, and an answer in JSON.

use mlflow_deploy_plugin_api::{Error, Payload, Result, call};

use crate::Response;

/// The endpoint to ask, which has to be named; see [`named`].
///
/// # Errors
/// `INVALID_PARAMETER_VALUE` where it is not.
pub fn endpoint(endpoint: Option<String>, deployment_name: Option<String>, target: &str) -> Result<String> {
    let missing = || Error::invalid_parameter("no endpoint is given: name the one to ask as `endpoint`");
    named(endpoint, deployment_name, target).ok_or_else(missing)
}

/// The endpoint to ask, where one is named; a deployment's name will do, as each endpoint has one deployment. `target` is
/// what is asked, such as `a gateway`.
pub fn named(endpoint: Option<String>, deployment_name: Option<String>, target: &str) -> Option<String> {
    if let (Some(endpoint), Some(deployment)) = (&endpoint, &deployment_name)
        && endpoint != deployment
    {
        call::warn(format!(
            "the deployment `{deployment}` is ignored: {target} is asked by endpoint, here `{endpoint}`"
        ));
    }
    endpoint.or(deployment_name)
}

/// The inputs, which have to be there.
///
/// # Errors
/// `INVALID_PARAMETER_VALUE` where they are not.
pub fn require_inputs(inputs: &Payload) -> Result<&Payload> {
    if inputs.bytes().is_empty() {
        return Err(Error::invalid_parameter("no inputs are given: give JSON, such as `{\"messages\": […]}`"));
    }
    Ok(inputs)
}

/// The body of an answer as it came, unless it is certainly no prediction.
///
/// # Errors
/// `INVALID_PARAMETER_VALUE` where the server streams, `INTERNAL_ERROR` where it answers with text.
pub fn prediction(answer: Response) -> Result<Payload> {
    let media_type = answer.payload.media_type();
    if answer.payload.bytes().is_empty() {
        return Ok(Payload::empty());
    }
    match media_type.as_str() {
        "text/event-stream" => Err(Error::invalid_parameter(
            "the server streams its answer, as the inputs ask for with `stream`: leave that out, or use `predict_stream`, \
             which is `predict --stream` at the command line",
        )),
        text if text.starts_with("text/") => Err(Error::internal(format!(
            "the server answered with `{text}`, where JSON was expected; check the target's URL"
        ))),
        _ => Ok(without_byte_order_mark(answer.payload)),
    }
}

/// JSON has no byte order mark, though some servers write one.
fn without_byte_order_mark(payload: Payload) -> Payload {
    match payload.bytes().strip_prefix(b"\xef\xbb\xbf") {
        Some(json) => Payload::new(payload.content_type(), json),
        None => payload,
    }
}
