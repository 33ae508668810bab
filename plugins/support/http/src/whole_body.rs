//! Classifies the complete body of a response as an answer, a reported failure, or a stream that the caller has not
//! requested.

use http::StatusCode;
use mlflow_deploy_plugin_api::{Error, HttpFailure, JSON, Payload, Redactor, Result};

use crate::answer_json::is_json_lines;
use crate::body_kind::BodyKind;
use crate::error_body::excerpt;
use crate::reported_failure::{failure_error, outline_of_failure, reported_failure};

/// The complete body of a response with a status of success.
#[derive(Debug)]
pub(crate) enum WholeBody {
    /// An answer: JSON, or content whose media type is not text.
    Answer(Payload),
    /// A stream: server-sent events or JSON lines.
    Stream(Payload),
}

impl WholeBody {
    /// Classifies a complete body that is not empty. The bytes of the body determine if it is JSON or a stream. If they
    /// are neither, the content type determines the class.
    ///
    /// # Errors
    /// The server's error if the body reports a failure, and `INTERNAL_ERROR` if the body is text or invalid JSON.
    pub(crate) fn read(payload: Payload, status: StatusCode, redactor: &Redactor) -> Result<Self> {
        let media_type = payload.media_type();
        let (kind, is_json) = (BodyKind::of(payload.bytes()), payload.is_json());
        if kind == BodyKind::Events {
            return Ok(Self::Stream(payload));
        }
        let invalid = |message: String| {
            let body = String::from_utf8_lossy(payload.bytes());
            Error::internal(message).with_http(HttpFailure::new(status.as_u16(), excerpt(&body, redactor)))
        };
        match outline_of_failure(payload.bytes()) {
            Ok(answer) if is_json || kind == BodyKind::Json => match reported_failure(&answer) {
                Some(failure) => {
                    let body = String::from_utf8_lossy(payload.bytes());
                    Err(failure_error("the server answered with an error", failure, &body, status, redactor))
                }
                None if is_json => Ok(Self::Answer(payload)),
                None => Ok(Self::Answer(Payload::new(JSON, payload.into_bytes()))),
            },
            _ if is_stream(&media_type) || is_json_lines(payload.bytes()) => Ok(Self::Stream(payload)),
            Err(reason) if is_json || kind == BodyKind::Json => {
                Err(invalid(format!("the server did not answer with JSON: {reason}")))
            }
            _ if media_type.starts_with("text/") => Err(invalid(format!(
                "the server answered with `{media_type}`, but JSON was expected; check the target's URL"
            ))),
            _ => Ok(Self::Answer(payload)),
        }
    }
}

/// Returns true if a media type is that of a stream, such as `text/event-stream`.
fn is_stream(media_type: &str) -> bool {
    matches!(media_type, "text/event-stream" | "application/x-ndjson" | "application/jsonl")
}
