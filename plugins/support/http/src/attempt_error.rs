//! The error of one attempt to send a request. Only this file converts an HTTP status or a lost connection to an error.

use std::io;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use mlflow_deploy_plugin_api::{Error, ErrorCode, HttpFailure, Redactor};

use crate::backoff::retry_after;
use crate::connect::{ConnectError, FailedStep};
use crate::error_body::{ErrorBody, excerpt, is_code};
use crate::text::innermost;
use crate::tls;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The response headers that may contain the id of a request, in the order of preference.
const REQUEST_IDS: [&str; 7] = [
    "x-request-id",
    "x-databricks-request-id",
    "apim-request-id",
    "x-ms-request-id",
    "request-id",
    "x-amzn-requestid",
    "x-amz-request-id",
];

/// The stage at which an attempt to send a request failed. The stage determines if the request may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// No connection was made, so the server has not received the request.
    Unsent,
    /// The request was sent. The server may have acted on it, but the response is missing or incomplete.
    Unanswered,
    /// The server answered with this status, which is not a success.
    Status(StatusCode),
    /// The request is not retried, because another attempt would fail in the same way.
    Final,
}

/// The error of one failed attempt to send a request. The retry loop decides if the request is sent again.
#[derive(Debug)]
pub(crate) struct AttemptError {
    pub(crate) stage: Stage,
    pub(crate) message: String,
    pub(crate) retry_after: Option<Duration>,
    /// The response header `x-should-retry`; `None` if it is missing or invalid.
    pub(crate) should_retry: Option<bool>,
    code: ErrorCode,
    error_code: Option<String>,
    http: Option<Box<HttpFailure>>,
    cause: Option<BoxError>,
}

impl AttemptError {
    pub(crate) fn new(stage: Stage, code: ErrorCode, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { stage, message, retry_after: None, should_retry: None, code, error_code: None, http: None, cause: None }
    }

    /// Converts the error of a request that was not sent, because a setting such as a proxy's URL is wrong.
    pub(crate) fn from_request(error: Error) -> Self {
        Self::new(Stage::Final, error.code().clone(), error.message())
    }

    /// Returns the error for a connection to `url` that could not be made or was lost.
    pub(crate) fn from_transport(error: BoxError, url: &str) -> Self {
        let unsent = |stage, message| Self::new(stage, ErrorCode::TEMPORARILY_UNAVAILABLE, message);
        let attempt_error = if let Some(ConnectError { step, reason, is_final, .. }) = find(&*error) {
            let stage = if *is_final { Stage::Final } else { Stage::Unsent };
            match step {
                FailedStep::Proxy(shown) => {
                    unsent(stage, format!("failed to connect to `{url}` through the proxy {shown}: {reason}"))
                }
                FailedStep::Server => unsent(stage, format!("failed to connect to `{url}`: {reason}")),
                FailedStep::Tls => Self::from_tls(reason, *is_final, url),
            }
        } else if let Some(error) = find::<io::Error>(&*error).filter(|error| tls::is_tls(*error)) {
            // A server may reject the client's certificate after the handshake.
            let (reason, is_final) = tls::reason(error);
            Self::from_tls(&reason, is_final, url)
        } else if find::<hyper::Error>(&*error).is_some_and(hyper::Error::is_parse) {
            let reason = innermost(&*error);
            let hint = if url.starts_with("http:") { "; if the server uses TLS there, use `https://`" } else { "" };
            Self::new(
                Stage::Unanswered,
                ErrorCode::TEMPORARILY_UNAVAILABLE,
                format!("`{url}` answered, but not in HTTP: {reason}{hint}"),
            )
        } else {
            let reason = innermost(&*error);
            let message = format!("the connection to `{url}` broke before the response was complete: {reason}");
            unsent(Stage::Unanswered, message)
        };
        // The errors in between describe the HTTP library. The innermost error is the system's.
        attempt_error.with_cause(innermost(&*error))
    }

    fn from_tls(reason: &str, is_final: bool, url: &str) -> Self {
        let message = format!("failed to establish a TLS connection to `{url}`: {reason}");
        if is_final {
            Self::new(Stage::Final, ErrorCode::INTERNAL_ERROR, message)
        } else {
            Self::new(Stage::Unsent, ErrorCode::TEMPORARILY_UNAVAILABLE, message)
        }
    }

    /// Adds to the message that the request went through a proxy, which may have answered or failed in place of the server.
    pub(crate) fn through(mut self, proxy: &str) -> Self {
        self.message = match &self.http {
            Some(http) if http.status == 407 => {
                format!(
                    "{}; this is the answer of the proxy {proxy}: set its user and password in that variable",
                    self.message
                )
            }
            Some(_) => format!("{}; the answer came through the proxy {proxy}", self.message),
            None if self.message.contains(proxy) => self.message,
            None => format!("{}; the request went through the proxy {proxy}", self.message),
        };
        self
    }

    /// Returns the error for a response whose status is not a success. The message begins as in MLflow's own client,
    /// and ends with the server's message.
    pub(crate) fn from_response(response: &ErrorResponse<'_>) -> Self {
        let status = response.status;
        let body = ErrorBody::read(response.body, response.redactor);
        let reason = status.canonical_reason().unwrap_or_default();
        let side = if status.is_server_error() { "Server" } else { "Client" };
        let mut message = format!("{} {side} Error: {} for url: {}", status.as_u16(), reason, response.url);
        if let Some(own) = body.message {
            message = format!("{message}: {own}");
        }
        let code = match &body.error_code {
            Some(own) if status == StatusCode::BAD_REQUEST && is_code(own) => ErrorCode::new(own.clone()),
            _ => code_of(status),
        };
        let mut http = HttpFailure::new(status.as_u16(), excerpt(response.body, response.redactor));
        http.request_id = REQUEST_IDS
            .iter()
            .find_map(|name| response.headers.get(*name)?.to_str().ok())
            .map(|id| response.redactor.hide(id));
        Self {
            retry_after: retry_after(response.headers),
            should_retry: response.headers.get("x-should-retry").and_then(|value| value.to_str().ok()?.parse().ok()),
            error_code: body.error_code.or_else(|| aws_error_type(response)),
            http: Some(Box::new(http)),
            ..Self::new(Stage::Status(status), code, message)
        }
    }

    /// Returns the error code that the server sent in the body of the response, such as `RESOURCE_DOES_NOT_EXIST`.
    pub(crate) fn error_code(&self) -> Option<&str> {
        self.error_code.as_deref()
    }

    /// Returns true if the same request may succeed later: it was not sent, or its response is missing or incomplete.
    pub(crate) fn is_retryable(&self) -> bool {
        matches!(self.stage, Stage::Unanswered | Stage::Unsent)
    }

    /// Sets the error that caused this error.
    pub(crate) fn with_cause(mut self, cause: impl Into<BoxError>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Adds the status and the body of the server's response to the error.
    pub(crate) fn with_http(mut self, http: HttpFailure) -> Self {
        self.http = Some(Box::new(http));
        self
    }

    /// Returns the error for the caller, with `note` appended to the message. `retryable` is true if the caller may
    /// send the request again.
    pub(crate) fn into_error(self, retryable: bool, note: &str) -> Error {
        let mut error = Error::new(self.code, self.message + note);
        if retryable {
            error = error.retryable();
        }
        if let Some(wait) = self.retry_after {
            error = error.with_retry_after(wait);
        }
        if let Some(http) = self.http {
            error = error.with_http(*http);
        }
        if let Some(code) = self.error_code {
            error = error.with_detail("error_code", code);
        }
        match self.cause {
            Some(cause) => error.with_cause(&*cause),
            None => error,
        }
    }
}

/// A response whose status is not a success.
#[derive(Debug)]
pub(crate) struct ErrorResponse<'a> {
    pub(crate) status: StatusCode,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a str,
    pub(crate) url: &'a str,
    pub(crate) redactor: &'a Redactor,
}

/// Returns the error code in a header that services of AWS send, such as `ValidationError:`.
fn aws_error_type(response: &ErrorResponse<'_>) -> Option<String> {
    let value = response.headers.get("x-amzn-errortype")?.to_str().ok()?;
    let code = value.split(':').next().unwrap_or_default();
    (!code.is_empty()).then(|| response.redactor.hide(code))
}

/// Returns the error code that corresponds to an HTTP status.
pub(crate) fn code_of(status: StatusCode) -> ErrorCode {
    match status.as_u16() {
        401 => ErrorCode::UNAUTHENTICATED,
        403 => ErrorCode::PERMISSION_DENIED,
        404 => ErrorCode::RESOURCE_DOES_NOT_EXIST,
        408 | 504 => ErrorCode::DEADLINE_EXCEEDED,
        409 => ErrorCode::RESOURCE_ALREADY_EXISTS,
        422 => ErrorCode::INVALID_PARAMETER_VALUE,
        429 => ErrorCode::RESOURCE_EXHAUSTED,
        501 => ErrorCode::NOT_IMPLEMENTED,
        502 | 503 => ErrorCode::TEMPORARILY_UNAVAILABLE,
        500.. => ErrorCode::INTERNAL_ERROR,
        _ => ErrorCode::BAD_REQUEST,
    }
}

/// Returns the first error of type `E` among an error and its causes. Looks inside each `io::Error`, because its
/// `source` skips the error that it wraps.
fn find<'a, E: std::error::Error + 'static>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a E> {
    let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    let inner = inner.map(|inner| inner as &(dyn std::error::Error + 'static));
    error.downcast_ref::<E>().or_else(|| find(inner?)).or_else(|| find(error.source()?))
}

#[cfg(test)]
mod tests {
    use mlflow_deploy_plugin_api::Secret;

    use super::*;

    fn error_of(status: u16, headers: &HeaderMap, body: &str) -> Error {
        let status = StatusCode::from_u16(status).unwrap();
        let redactor = Redactor::new([Secret::new("dapi123")]);
        let response = ErrorResponse { status, headers, body, url: "http://h/p", redactor: &redactor };
        AttemptError::from_response(&response).into_error(false, "")
    }

    #[test]
    fn every_status_maps_to_an_error_code() {
        for (status, code) in [
            (400, "BAD_REQUEST"),
            (401, "UNAUTHENTICATED"),
            (403, "PERMISSION_DENIED"),
            (404, "RESOURCE_DOES_NOT_EXIST"),
            (408, "DEADLINE_EXCEEDED"),
            (409, "RESOURCE_ALREADY_EXISTS"),
            (413, "BAD_REQUEST"),
            (418, "BAD_REQUEST"),
            (422, "INVALID_PARAMETER_VALUE"),
            (429, "RESOURCE_EXHAUSTED"),
            (500, "INTERNAL_ERROR"),
            (501, "NOT_IMPLEMENTED"),
            (502, "TEMPORARILY_UNAVAILABLE"),
            (503, "TEMPORARILY_UNAVAILABLE"),
            (504, "DEADLINE_EXCEEDED"),
            (599, "INTERNAL_ERROR"),
        ] {
            let error = error_of(status, &HeaderMap::new(), "");
            assert_eq!((error.code().as_str(), error.http().unwrap().status), (code, status));
        }
    }

    #[test]
    fn the_server_s_code_replaces_bad_request_but_no_other_code() {
        let body = r#"{"error_code":"ENDPOINT_NOT_READY","message":"m"}"#;
        let error = error_of(400, &HeaderMap::new(), body);
        assert_eq!(error.code().as_str(), "ENDPOINT_NOT_READY");
        let error = error_of(404, &HeaderMap::new(), body);
        assert_eq!(
            (error.code(), &error.details()["error_code"]),
            (&ErrorCode::RESOURCE_DOES_NOT_EXIST, &"ENDPOINT_NOT_READY".into())
        );
    }

    #[test]
    fn an_error_has_mlflow_s_sentence_and_the_request_id() {
        let headers = HeaderMap::from_iter([("x-databricks-request-id".parse().unwrap(), "r-1".parse().unwrap())]);
        let error = error_of(401, &headers, r#"{"message":"bad token dapi123"}"#);
        assert_eq!(error.message(), "401 Client Error: Unauthorized for url: http://h/p: bad token <redacted>");
        let http = error.http().unwrap();
        assert_eq!(
            (http.request_id.as_deref(), http.body.as_str()),
            (Some("r-1"), r#"{"message":"bad token <redacted>"}"#)
        );
        assert_eq!(
            error_of(418, &HeaderMap::new(), "").message(),
            "418 Client Error: I'm a teapot for url: http://h/p"
        );
    }
}
