//! Checks the endpoint, the inputs and the response of a prediction, for all plugins that use HTTP.

use mlflow_deploy_plugin_api::{Error, Payload, Result, call};

use crate::whole_body::WholeBody;
use crate::{JsonObject, Response};

/// Returns the name of the endpoint for a prediction, as [`named`] does.
///
/// # Errors
/// `INVALID_PARAMETER_VALUE` if neither `endpoint` nor `deployment_name` is given.
pub fn endpoint(endpoint: Option<String>, deployment_name: Option<String>, target: &str) -> Result<String> {
    let missing = || Error::invalid_parameter("no endpoint given: set `endpoint`");
    named(endpoint, deployment_name, target).ok_or_else(missing)
}

/// Returns `endpoint`, or `deployment_name` if no endpoint is given, because each endpoint has one deployment. Warns if
/// both are given and differ. `target` describes the target in this warning, such as `a gateway`.
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

/// Returns the inputs of a prediction if they are not empty.
///
/// # Errors
/// `INVALID_PARAMETER_VALUE` if the inputs are empty.
pub fn require_inputs(inputs: &Payload) -> Result<&Payload> {
    if inputs.bytes().is_empty() {
        return Err(Error::invalid_parameter("no inputs given: pass JSON, such as `{\"messages\": […]}`"));
    }
    Ok(inputs)
}

/// Returns the inputs of a prediction that is returned as a whole. If they are a JSON object that requests a stream with
/// the member `stream`, sets it to false, and removes `stream_options`, which servers accept only beside it.
///
/// # Errors
/// Fails as [`require_inputs`] does.
pub fn whole_inputs(inputs: Payload) -> Result<Payload> {
    let Ok(object) = JsonObject::parse(require_inputs(&inputs)?.bytes()) else { return Ok(inputs) };
    if object.get("stream").is_none_or(|stream| stream == "false") {
        return Ok(inputs);
    }
    let whole = object.with(&[("stream", "false")]);
    let whole = JsonObject::parse(&whole)?.without("stream_options");
    Ok(Payload::new(inputs.content_type(), whole))
}

/// Returns the error of an answer without a body, whole or streamed.
pub(crate) fn empty_answer() -> Error {
    Error::internal("the server answered with an empty body, although a prediction was expected")
}

/// Returns the body of the response to a prediction.
///
/// # Errors
/// - `INTERNAL_ERROR` if the server streams the response, or answers with text, invalid JSON or nothing.
/// - The server's error if the body reports a failure.
pub fn prediction(response: Response) -> Result<Payload> {
    if response.payload.bytes().is_empty() {
        return Err(empty_answer());
    }
    match WholeBody::read(response.payload, response.status, &response.redactor)? {
        WholeBody::Answer(payload) => Ok(payload),
        WholeBody::Stream(_) => Err(Error::internal(
            "the server streamed the response, although a whole one was requested: use `predict_stream` (on the command \
             line, `predict --stream`)",
        )),
    }
}
