//! Error responses, with the texts and status codes of MLflow's scoring server.

use std::time::Duration;

use axum::http::header::{ACCEPT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use mlflow_deploy_plugin_api::{Error, ErrorCode};
use serde::Serialize;
use serde_json::Value;

/// The supported compressions of request bodies, as the value of the header `Accept-Encoding`.
const SUPPORTED: &str = "gzip, deflate";

/// The reason why the server answers a request with an error instead of predictions.
#[derive(Debug)]
pub(super) enum Rejection {
    /// The body could not be read or decompressed. Contains the reason.
    BrokenBody(String),
    /// The server handles the maximum number of requests. Contains that number.
    Busy(usize),
    /// The prediction failed. Contains the error of the prediction.
    Failed(Error),
    /// The header `Host` is missing, or the request has more than one. Contains a description of the problem.
    InvalidHost(&'static str),
    /// The request does not have the header `Content-Type`.
    NoContentType,
    /// The request is for another host. Contains the start of that host's name.
    OtherHost(String),
    /// A web page of another site sent the request. Contains the origin of that page.
    OtherSite(String),
    /// The bodies of other requests and responses use up the server's memory budget.
    OutOfMemory,
    /// The request exceeded the time limit.
    Timeout,
    /// The body is longer than the limit. Contains the limit, in bytes.
    TooLong(usize),
    /// The compression of the body is not supported. Contains the value of the header `Content-Encoding`.
    UnknownCoding(String),
}

/// The JSON body of an error response, with the fields that MLflow uses.
#[derive(Serialize)]
struct ErrorJson<'a> {
    error_code: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sqlstate: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_class: Option<&'a str>,
}

/// Returns a response with the content type `application/json`. `text` need not be JSON, because MLflow's server also
/// uses that content type for plain texts.
pub(super) fn as_json(status: StatusCode, text: impl Into<String>) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], text.into()).into_response()
}

/// Returns the response that FastAPI, the framework of MLflow's server, sends for an unknown path or method.
pub(super) fn detail(status: StatusCode) -> Response {
    as_json(status, format!(r#"{{"detail":"{}"}}"#, status.canonical_reason().unwrap_or_default()))
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        match self {
            Self::BrokenBody(reason) => {
                error(&Error::new(ErrorCode::BAD_REQUEST, format!("failed to read the body: {reason}")))
            }
            Self::Busy(max) => unavailable(format!("the limit of {max} concurrent requests is reached: try again")),
            Self::Failed(failure) => error(&failure),
            Self::InvalidHost(problem) => error(&Error::new(ErrorCode::BAD_REQUEST, format!("the request {problem}"))),
            Self::NoContentType => {
                unsupported("the request has no content type: send `application/json` or `text/csv`")
            }
            Self::OtherHost(host) => forbidden(format!(
                "the request is for the host `{host}`, which is not this server; if it is a name of this server, add \
                 it to the config `allowed_hosts`"
            )),
            Self::OtherSite(origin) => forbidden(format!(
                "the request comes from a page of another site, `{origin}`; to allow it, add its host to the config \
                 `allowed_hosts`"
            )),
            Self::OutOfMemory => unavailable("other requests and responses use all memory of the server: try again"),
            Self::Timeout => as_json(StatusCode::GATEWAY_TIMEOUT, "Request processing time exceeded limit"),
            Self::TooLong(limit) => {
                let message = format!(
                    "the body is longer than {limit} bytes: send fewer rows at once, or serve with a larger \
                     `max_request_bytes`"
                );
                let mut response = error(&Error::new(ErrorCode::BAD_REQUEST, message));
                *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
                response
            }
            Self::UnknownCoding(coding) => {
                let mut response = unsupported(&format!(
                    "the content coding `{coding}` is not supported: send one of {SUPPORTED}, or no `Content-Encoding`"
                ));
                response.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static(SUPPORTED));
                response
            }
        }
    }
}

fn forbidden(message: String) -> Response {
    let mut response = error(&Error::new(ErrorCode::PERMISSION_DENIED, message));
    *response.status_mut() = StatusCode::FORBIDDEN;
    response
}

/// Returns a response with status 503. It tells the client to repeat the request after one second.
fn unavailable(message: impl Into<String>) -> Response {
    error(&Error::new(ErrorCode::TEMPORARILY_UNAVAILABLE, message).with_retry_after(Duration::from_secs(1)))
}

/// Returns a response with status 415 for an unsupported content type or compression. The body is plain text, as in
/// MLflow.
fn unsupported(message: &str) -> Response {
    (StatusCode::UNSUPPORTED_MEDIA_TYPE, message.to_owned()).into_response()
}

/// Returns the response for an error. The error code determines the HTTP status. The fields `sqlstate` and
/// `error_class` are those of the error. If the error has none, they are those that MLflow uses for its code.
fn error(error: &Error) -> Response {
    let code = error.code().as_str();
    let (status, sqlstate, error_class) = match code {
        "BAD_REQUEST" | "INVALID_PARAMETER_VALUE" => (400, Some("KAM00"), Some("INVALID_PARAMETER_VALUE")),
        "NOT_IMPLEMENTED" => (501, None, None),
        "RESOURCE_EXHAUSTED" => (429, None, None),
        "TEMPORARILY_UNAVAILABLE" => (503, Some("XXM00"), Some("CLIENT_INTERNAL_ERROR")),
        "INTERNAL_ERROR" | "INVALID_STATE" => (500, Some("XXM00"), Some("CLIENT_INTERNAL_ERROR")),
        _ => (500, None, None),
    };
    let text = |name: &str| error.details().get(name).and_then(Value::as_str);
    let status = error.details().get("http_status").and_then(Value::as_u64).unwrap_or(status);
    if status == 415 {
        return unsupported(error.message());
    }
    let json = ErrorJson {
        error_code: code,
        message: error.message(),
        sqlstate: text("sqlstate").or(sqlstate),
        error_class: text("error_class").or(error_class),
    };
    let status = u16::try_from(status).ok().and_then(|status| StatusCode::from_u16(status).ok());
    let mut response = as_json(
        status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        serde_json::to_string(&json).expect("an error is JSON"),
    );
    if let Some(wait) = error.retry_after() {
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from(wait.as_secs() + u64::from(wait.subsec_nanos() > 0)));
    }
    response
}

impl From<Error> for Rejection {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}
