//! What is answered where there are no predictions, in the words and with the status codes of MLflow's scoring server.

use std::time::Duration;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use mlflow_deploy_plugin_api::{Error, ErrorCode};
use serde::Serialize;
use serde_json::Value;

/// Why a request gets no predictions.
#[derive(Debug)]
pub(super) enum Refused {
    /// The body did not arrive as HTTP says.
    Broken(String),
    /// As many requests as are taken on are there already.
    Busy(usize),
    /// The bodies and the answers of other requests are as much as is kept.
    Full,
    /// The request does not say once whom it asks.
    NoHost(&'static str),
    /// The request asks for this host, which is another.
    OtherHost(String),
    /// A page of this site sent the request.
    OtherSite(String),
    /// Nobody says what the body is.
    NoContentType,
    /// The time is up.
    Timeout,
    /// The body is longer than this.
    TooLong(usize),
    /// The protocol or the model says no.
    Unanswered(Error),
}

/// MLflow's form of an error.
#[derive(Serialize)]
struct ErrorJson<'a> {
    error_code: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sqlstate: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_class: Option<&'a str>,
}

/// A text as JSON, which MLflow says of texts that are none as well.
pub(super) fn as_json(status: StatusCode, text: impl Into<String>) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], text.into()).into_response()
}

/// A path or method that does not exist, as FastAPI says it.
pub(super) fn detail(status: StatusCode) -> Response {
    as_json(status, format!(r#"{{"detail":"{}"}}"#, status.canonical_reason().unwrap_or_default()))
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Self::Broken(why) => error(&Error::new(ErrorCode::BAD_REQUEST, format!("failed to read the body: {why}"))),
            Self::Busy(most) => {
                not_now(format!("{most} requests are being answered, and no more are taken on: try again"))
            }
            Self::Full => not_now("other requests and their answers take all memory that there is for them: try again"),
            Self::NoHost(what) => error(&Error::new(ErrorCode::BAD_REQUEST, format!("the request {what}"))),
            Self::OtherHost(host) => forbidden(format!(
                "the request asks for the host `{host}`, which is not this server; where it is one of its names, serve \
                 with it in the config `allowed_hosts`"
            )),
            Self::OtherSite(origin) => forbidden(format!(
                "the request comes from a page of `{origin}`, which is another site; where that may ask, serve with its \
                 host in the config `allowed_hosts`"
            )),
            Self::NoContentType => {
                unsupported("the request has no content type: send `application/json` or `text/csv`")
            }
            Self::Timeout => as_json(StatusCode::GATEWAY_TIMEOUT, "Request processing time exceeded limit"),
            Self::TooLong(limit) => {
                let message = format!(
                    "the body is longer than {limit} bytes: send fewer rows at once, or serve with a larger \
                     `max_request_bytes`"
                );
                let mut answer = error(&Error::new(ErrorCode::BAD_REQUEST, message));
                *answer.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
                answer
            }
            Self::Unanswered(unanswered) => error(&unanswered),
        }
    }
}

fn forbidden(why: String) -> Response {
    let mut answer = error(&Error::new(ErrorCode::PERMISSION_DENIED, why));
    *answer.status_mut() = StatusCode::FORBIDDEN;
    answer
}

/// What may be asked again in a moment.
fn not_now(why: impl Into<String>) -> Response {
    error(&Error::new(ErrorCode::TEMPORARILY_UNAVAILABLE, why).with_retry_after(Duration::from_secs(1)))
}

/// A content type that is not read, in plain text.
fn unsupported(why: &str) -> Response {
    (StatusCode::UNSUPPORTED_MEDIA_TYPE, why.to_owned()).into_response()
}

/// An error with the status of its code; with the state and the class that it has, or MLflow derives from its code.
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
    let mut answer = as_json(
        status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        serde_json::to_string(&json).expect("an error is JSON"),
    );
    if let Some(wait) = error.retry_after() {
        answer
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from(wait.as_secs() + u64::from(wait.subsec_nanos() > 0)));
    }
    answer
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Unanswered(error)
    }
}
