//! A response with its complete body, and the errors for a body that is not as expected.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use mlflow_deploy_plugin_api::{Error, HttpFailure, JSON, Payload, Redactor, Result};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::body_kind::BodyKind;
use crate::error_body::{ErrorBody, excerpt, is_html};
use crate::reported_failure::{failure_error, outline_of_failure, reported_failure};
use crate::streaming_response::MAX_ERROR_BODY;

/// A response with its complete body and a status of success.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Response {
    /// The HTTP status, from 200 to 299.
    pub status: StatusCode,
    /// The headers of the response.
    pub headers: HeaderMap,
    /// The body of the response, decompressed but otherwise unchanged.
    pub payload: Payload,
    /// The redactor that removes the secrets of the request from errors.
    pub(crate) redactor: Redactor,
}

impl Response {
    /// Parses the body as JSON. `expected` describes the expected content in the error, such as `a list of endpoints`.
    ///
    /// # Errors
    /// The server's error if the body reports a failure. `INTERNAL_ERROR` if the body is not the expected JSON; this
    /// error has the position of the fault, but no value from the body.
    pub fn parse<'a, T: Deserialize<'a>>(&'a self, expected: &str) -> Result<T> {
        self.reject_failure()?;
        if self.payload.bytes().trim_ascii() == b"null" {
            return Err(self.unexpected(expected, "the answer is `null`"));
        }
        serde_json::from_slice(self.payload.bytes()).map_err(|error| self.unexpected(expected, &describe(&error)))
    }

    /// Fails with the server's error if the body reports a failure.
    fn reject_failure(&self) -> Result<()> {
        let answer = outline_of_failure(self.payload.bytes()).unwrap_or_default();
        let Some(failure) = reported_failure(&answer) else { return Ok(()) };
        let body = String::from_utf8_lossy(self.payload.bytes());
        let what = "the server answered with an error";
        Err(failure_error(what, failure, &body, self.status, &self.redactor).redacted(&self.redactor))
    }

    /// Returns the body. If its media type is JSON, parses the body first to check it. `expected` describes the
    /// expected content in the error.
    ///
    /// # Errors
    /// Fails as [`parse`](Self::parse) does if the media type is JSON.
    pub fn document(self, expected: &str) -> Result<Payload> {
        if self.payload.is_json() && !matches!(self.payload.bytes().trim_ascii(), b"" | b"null") {
            self.parse::<IgnoredAny>(expected)?;
        }
        Ok(self.payload)
    }

    /// Parses a part of the body, which is JSON text. `expected` describes the expected content in the error.
    ///
    /// # Errors
    /// `INTERNAL_ERROR` if the part is not the expected JSON.
    pub fn parse_part<'a, T: Deserialize<'a>>(&self, part: &'a RawValue, expected: &str) -> Result<T> {
        serde_json::from_str(part.get()).map_err(|error| self.unexpected(expected, &describe(&error)))
    }

    /// Returns the error for a body that is not as expected. `expected` describes the expected content, and `reason`
    /// describes the difference.
    pub fn unexpected(&self, expected: &str, reason: &str) -> Error {
        let message = format!("the server did not answer with {expected}: {reason}; check the URL");
        Error::internal(message).redacted(&self.redactor)
    }
}

/// Returns the message of a JSON error, without the value from the body that the message may quote.
fn describe(error: &serde_json::Error) -> String {
    let message = error.to_string();
    match message.rfind(", expected ") {
        // `invalid type: string "…", expected a sequence at line 1 column 9`: the string may contain any text.
        Some(expected) if error.is_data() => {
            let kind = message[..expected].split(['"', '`']).next().unwrap_or_default().trim_end();
            format!("{kind}{}", &message[expected..])
        }
        _ => message,
    }
}

/// Returns the media type of a response. If the `Content-Type` header is missing, this is JSON, which the supported
/// servers send.
pub(crate) fn content_type<B>(response: &http::Response<B>) -> &str {
    let label = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    label.filter(|label| !label.trim().is_empty()).unwrap_or(JSON)
}

/// Fails if the body is a web page. Proxies and login forms send web pages with a status of success.
pub(crate) fn reject_html(status: StatusCode, payload: &Payload, redactor: &Redactor) -> Result<()> {
    if BodyKind::of(payload.bytes()) == BodyKind::Json {
        return Ok(());
    }
    // The start suffices to recognize a page and to find its title.
    let start = String::from_utf8_lossy(&payload.bytes()[..payload.bytes().len().min(MAX_ERROR_BODY)]);
    if is_html(&start) {
        let page = ErrorBody::read(&start, redactor).message.unwrap_or_default();
        let http = HttpFailure::new(status.as_u16(), excerpt(&start, redactor));
        return Err(Error::internal(format!("the server answered with {page}")).with_http(http));
    }
    Ok(())
}
