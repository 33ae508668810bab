//! What went wrong with one attempt, and the one place where a status or a broken connection becomes an error.

use std::io;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use mlflow_deploy_plugin_api::{Error, ErrorCode, HttpFailure, Redactor};

use crate::backoff::retry_after;
use crate::words::{Words, is_code, keep};

/// The headers in which servers give a request's id, in the order of preference.
const REQUEST_IDS: [&str; 5] =
    ["x-request-id", "x-databricks-request-id", "apim-request-id", "x-ms-request-id", "request-id"];

/// How far an attempt came. Whether it may be made again depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// No connection was made: the server has seen nothing.
    Unsent,
    /// The server may have acted on the request, and has not answered it, or not to the end.
    Unanswered,
    /// The server answered with this status.
    Refused(StatusCode),
    /// Another attempt would end in the same way.
    Settled,
}

/// A failed attempt: an error that has still to learn whether it is final.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) stage: Stage,
    pub(crate) message: String,
    pub(crate) retry_after: Option<Duration>,
    /// What the server says of another attempt, where it says it.
    pub(crate) should_retry: Option<bool>,
    code: ErrorCode,
    error_code: Option<String>,
    http: Option<Box<HttpFailure>>,
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Fault {
    pub(crate) fn new(stage: Stage, code: ErrorCode, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { stage, message, retry_after: None, should_retry: None, code, error_code: None, http: None, cause: None }
    }

    /// A connection that could not be made, or broke.
    pub(crate) fn transport(error: reqwest::Error, url: &str) -> Self {
        let error = error.without_url();
        let reason = innermost(&error);
        let fault = if is_tls(&error) {
            let hint = "see the client's options for an own certificate authority and a client certificate";
            Self::new(
                Stage::Settled,
                ErrorCode::INTERNAL_ERROR,
                format!("no secure connection to `{url}`: {reason}; {hint}"),
            )
        } else if error.is_connect() {
            let message = format!("failed to connect to `{url}`: {reason}");
            Self::new(Stage::Unsent, ErrorCode::TEMPORARILY_UNAVAILABLE, message)
        } else if error.is_builder() {
            let message = format!("failed to write a request to `{url}`: {reason}");
            Self::new(Stage::Settled, ErrorCode::INVALID_PARAMETER_VALUE, message)
        } else {
            let message = format!("the connection to `{url}` broke before the answer was complete: {reason}");
            Self::new(Stage::Unanswered, ErrorCode::TEMPORARILY_UNAVAILABLE, message)
        };
        fault.with_cause(error)
    }

    /// An answer that is not a success. The sentence is MLflow's, with the server's own message at its end.
    pub(crate) fn refused(refusal: &Refusal<'_>) -> Self {
        let status = refusal.status;
        let words = Words::read(refusal.body, refusal.redactor);
        let reason = status.canonical_reason().unwrap_or_default();
        let side = if status.is_server_error() { "Server" } else { "Client" };
        let mut message = format!("{} {side} Error: {} for url: {}", status.as_u16(), reason, refusal.url);
        if let Some(own) = words.message {
            message = format!("{message}: {own}");
        }
        let code = match &words.error_code {
            Some(own) if status == StatusCode::BAD_REQUEST && is_code(own) => ErrorCode::new(own.clone()),
            _ => code_of(status),
        };
        let mut http = HttpFailure::new(status.as_u16(), keep(refusal.body, refusal.redactor));
        http.request_id = REQUEST_IDS
            .iter()
            .find_map(|name| refusal.headers.get(*name)?.to_str().ok())
            .map(|id| refusal.redactor.hide(id));
        Self {
            retry_after: retry_after(refusal.headers),
            should_retry: refusal.headers.get("x-should-retry").and_then(|value| value.to_str().ok()?.parse().ok()),
            error_code: words.error_code,
            http: Some(Box::new(http)),
            ..Self::new(Stage::Refused(status), code, message)
        }
    }

    /// The code in the body of an error.
    pub(crate) fn error_code(&self) -> Option<&str> {
        self.error_code.as_deref()
    }

    /// Adds what lies behind it.
    pub(crate) fn with_cause(mut self, cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.cause = Some(Box::new(cause));
        self
    }

    /// Adds what the server said.
    pub(crate) fn with_http(mut self, http: HttpFailure) -> Self {
        self.http = Some(Box::new(http));
        self
    }

    /// The error that the caller sees. `retryable` is decided here, once.
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

/// An answer that is not a success, as far as it is reported.
#[derive(Debug)]
pub(crate) struct Refusal<'a> {
    pub(crate) status: StatusCode,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a str,
    pub(crate) url: &'a str,
    pub(crate) redactor: &'a Redactor,
}

/// The code of a status, for servers that give none.
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

/// The reason at the end of the chain, such as `Connection refused (os error 111)`.
fn innermost(error: &reqwest::Error) -> String {
    let mut reason: &dyn std::error::Error = error;
    while let Some(next) = reason.source() {
        reason = next;
    }
    reason.to_string()
}

/// Whether TLS is at fault: the same certificate will not be trusted a second later. An `io::Error` has what it wraps
/// not as its source but inside.
fn is_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    error.is::<rustls::Error>() || inner.is_some_and(|inner| is_tls(inner)) || error.source().is_some_and(is_tls)
}

#[cfg(test)]
mod tests {
    use mlflow_deploy_plugin_api::Secret;

    use super::*;

    fn refused(status: u16, headers: &HeaderMap, body: &str) -> Error {
        let status = StatusCode::from_u16(status).unwrap();
        let redactor = Redactor::new([Secret::new("dapi123")]);
        let refusal = Refusal { status, headers, body, url: "http://h/p", redactor: &redactor };
        Fault::refused(&refusal).into_error(false, "")
    }

    #[test]
    fn every_status_has_its_code() {
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
            let error = refused(status, &HeaderMap::new(), "");
            assert_eq!((error.code().as_str(), error.http().unwrap().status), (code, status));
        }
    }

    #[test]
    fn a_server_s_own_code_makes_a_400_precise() {
        let body = r#"{"error_code":"ENDPOINT_NOT_READY","message":"m"}"#;
        let error = refused(400, &HeaderMap::new(), body);
        assert_eq!(error.code().as_str(), "ENDPOINT_NOT_READY");
        let error = refused(404, &HeaderMap::new(), body);
        assert_eq!(
            (error.code(), &error.details()["error_code"]),
            (&ErrorCode::RESOURCE_DOES_NOT_EXIST, &"ENDPOINT_NOT_READY".into())
        );
    }

    #[test]
    fn the_sentence_is_mlflow_s_and_the_request_id_is_kept() {
        let headers = HeaderMap::from_iter([("x-databricks-request-id".parse().unwrap(), "r-1".parse().unwrap())]);
        let error = refused(401, &headers, r#"{"message":"bad token dapi123"}"#);
        assert_eq!(error.message(), "401 Client Error: Unauthorized for url: http://h/p: bad token <redacted>");
        let http = error.http().unwrap();
        assert_eq!(
            (http.request_id.as_deref(), http.body.as_str()),
            (Some("r-1"), r#"{"message":"bad token <redacted>"}"#)
        );
        assert_eq!(refused(418, &HeaderMap::new(), "").message(), "418 Client Error: I'm a teapot for url: http://h/p");
    }
}
