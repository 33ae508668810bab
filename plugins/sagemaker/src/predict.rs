//! Predictions: whole, streamed, and asynchronous with the answer in S3.

use http::{HeaderMap, HeaderName, HeaderValue};
use mlflow_deploy_http::{ChunkStream, Response, prediction, require_inputs, send, whole_inputs};
use mlflow_deploy_plugin_api::{Chunks, Config, Error, Payload, Result};
use serde::Deserialize;

use crate::event_stream::EventStream;
use crate::failure::{explained, is_missing, no_endpoint, of_model};
use crate::session::{Session, input_headers};

/// The keys of the config, and the headers that have their values.
const HEADERS: [(&str, &str); 6] = [
    ("accept", "accept"),
    ("custom_attributes", "x-amzn-sagemaker-custom-attributes"),
    ("inference_component", "x-amzn-sagemaker-inference-component"),
    ("inference_id", "x-amzn-sagemaker-inference-id"),
    ("target_model", "x-amzn-sagemaker-target-model"),
    ("target_variant", "x-amzn-sagemaker-target-variant"),
];

/// The config of a prediction.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PredictConfig {
    accept: Option<String>,
    custom_attributes: Option<String>,
    inference_component: Option<String>,
    inference_id: Option<String>,
    target_model: Option<String>,
    target_variant: Option<String>,
}

/// Returns the headers that the config of a prediction sets.
pub(crate) fn config_headers(config: &Config) -> Result<HeaderMap> {
    let known = HEADERS.map(|(key, _)| key);
    config.check_keys(&known)?;
    let read: PredictConfig = config.parse()?;
    let values = [
        read.accept,
        read.custom_attributes,
        read.inference_component,
        read.inference_id,
        read.target_model,
        read.target_variant,
    ];
    let mut headers = HeaderMap::new();
    for ((key, header), value) in HEADERS.into_iter().zip(values) {
        let Some(value) = value else { continue };
        let value = HeaderValue::try_from(value).map_err(|_illegal| {
            Error::invalid_parameter(format!("`{key}` has characters that a header cannot have"))
        })?;
        headers.insert(HeaderName::from_static(header), value);
    }
    Ok(headers)
}

/// Predicts, and returns the answer of the model.
pub(crate) async fn whole(session: &Session, name: &str, inputs: Payload, config: &Config) -> Result<Payload> {
    let inputs = whole_inputs(inputs)?;
    let request = session.invocation(name, "invocations", headers(&inputs, config)?, inputs.bytes().to_vec()).await?;
    let answer = send(&session.http, &request, &session.policy).await;
    prediction(answer.map_err(|error| failed(session, name, &error))?)
}

/// Predicts, and sends the parts of the answer as they arrive.
pub(crate) async fn streamed(
    session: &Session,
    name: &str,
    inputs: &Payload,
    config: &Config,
    chunks: &mut Chunks,
) -> Result<()> {
    let inputs = require_inputs(inputs)?;
    let (headers, body) = (headers(inputs, config)?, inputs.bytes().to_vec());
    let request = session.invocation(name, "invocations-response-stream", headers, body).await?;
    let stream = ChunkStream::open(&session.http, &request, &session.policy).await;
    let stream = stream.map_err(|error| failed(session, name, &error))?;
    let media_type = HeaderName::from_static("x-amzn-sagemaker-content-type");
    stream.unframed(EventStream::default(), media_type).forward(chunks).await
}

/// Requests an asynchronous prediction. `input` is the place of the inputs in S3. Returns the answer, whose headers have the
/// place of the output.
pub(crate) async fn asynchronous(
    session: &Session,
    name: &str,
    media_type: &str,
    input: &str,
    config: &Config,
) -> Result<Response> {
    let mut headers = input_headers(media_type)?;
    headers.extend(config_headers(config)?);
    headers.extend(crate::session::headers(&[("x-amzn-sagemaker-inputlocation", input)])?);
    let request = session.invocation(name, "async-invocations", headers, Vec::new()).await?;
    send(&session.http, &request, &session.policy).await.map_err(|error| failed(session, name, &error))
}

fn headers(inputs: &Payload, config: &Config) -> Result<HeaderMap> {
    let mut headers = input_headers(inputs.content_type())?;
    headers.extend(config_headers(config)?);
    Ok(headers)
}

fn failed(session: &Session, name: &str, error: &Error) -> Error {
    if let Some(own) = of_model(error) {
        return own;
    }
    let error = explained("the prediction", error);
    if is_missing(&error) { no_endpoint(name, &session.region, &error) } else { error }
}
