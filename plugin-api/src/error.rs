//! The one error that crosses the boundary, and its JSON form.
//!
//! An error is made where the fault is seen, flattened to JSON on its way through the table, rebuilt on the other
//! side, and printed. Nobody in between rewrites it, so everything here survives the round trip.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Redactor;

/// What an operation returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Declares the codes once: the constant, its text, and its documentation.
macro_rules! error_codes {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        impl ErrorCode {
            $($(#[$doc])* pub const $name: Self = Self(Cow::Borrowed(stringify!($name)));)*

            /// Every code that this version of the interface names.
            pub const KNOWN: &[Self] = &[$(Self::$name),*];
        }
    };
}

/// A machine-readable code: MLflow's error code names, and a few of ours for plugin faults.
///
/// The set is open. A code that this version does not name, such as one that a server sent, travels unchanged.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ErrorCode(Cow<'static, str>);

error_codes! {
    /// The server refused the request as malformed (HTTP 400).
    BAD_REQUEST,
    /// The caller gave the call up.
    CANCELLED,
    /// The deadline passed before the answer came.
    DEADLINE_EXCEEDED,
    /// Something broke that no other code describes.
    INTERNAL_ERROR,
    /// An argument, option or setting is not valid.
    INVALID_PARAMETER_VALUE,
    /// The target does not support the operation.
    NOT_IMPLEMENTED,
    /// The credentials do not permit the operation (HTTP 403).
    PERMISSION_DENIED,
    /// The process that a plugin runs in ended, or had to be ended. Made by the host, which starts it anew for the next
    /// call; whether this one had an effect is not known.
    PLUGIN_CRASHED,
    /// A plugin could not be loaded. Made by the host.
    PLUGIN_LOAD_FAILED,
    /// No plugin serves the target. Made by the host.
    PLUGIN_NOT_FOUND,
    /// A plugin panicked; the client it happened in answers nothing else from then on.
    PLUGIN_PANICKED,
    /// A plugin broke a rule of the table, such as sending a chunk without credit. Made by the host.
    PLUGIN_PROTOCOL_VIOLATION,
    /// The name is taken (HTTP 409).
    RESOURCE_ALREADY_EXISTS,
    /// What was named does not exist (HTTP 404).
    RESOURCE_DOES_NOT_EXIST,
    /// A rate limit or quota is used up (HTTP 429).
    RESOURCE_EXHAUSTED,
    /// The server cannot answer just now (HTTP 502, 503) or cannot be reached.
    TEMPORARILY_UNAVAILABLE,
    /// The credentials are missing or wrong (HTTP 401).
    UNAUTHENTICATED,
}

impl ErrorCode {
    /// A code of another vocabulary, such as `ENDPOINT_NOT_FOUND` from a server.
    pub fn new(code: impl Into<Cow<'static, str>>) -> Self {
        Self(code.into())
    }

    /// The code as it is written in JSON.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What the server said, where there was one. The status is never rewritten.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HttpFailure {
    /// The status code, such as 404.
    pub status: u16,
    /// The body as text, cut where it is long.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub body: String,
    /// The server's id of the request, for its support.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl HttpFailure {
    /// A failure with this status and body.
    pub fn new(status: u16, body: impl Into<String>) -> Self {
        Self { status, body: body.into(), request_id: None }
    }
}

/// A failed operation.
///
/// `Display` is the message on one line; [`causes`](Self::causes) has what lies behind it, outermost first.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Error(Box<Fields>);

/// What an error holds, boxed so that results stay small.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Fields {
    code: ErrorCode,
    message: String,
    #[serde(default)]
    retryable: bool,
    #[serde(default, rename = "retry_after_ms", skip_serializing_if = "Option::is_none", with = "milliseconds")]
    retry_after: Option<Duration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    http: Option<HttpFailure>,
    #[serde(default, rename = "causes", skip_serializing_if = "Option::is_none", with = "causes")]
    cause: Option<Box<Cause>>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    details: Map<String, Value>,
}

impl Error {
    /// An error with this code and message: a lower-case fragment that says what was given and what to do next.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self(Box::new(Fields {
            code,
            message: message.into(),
            retryable: false,
            retry_after: None,
            http: None,
            cause: None,
            details: Map::new(),
        }))
    }

    /// [`ErrorCode::INVALID_PARAMETER_VALUE`] with this message.
    pub fn invalid_parameter(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::INVALID_PARAMETER_VALUE, message)
    }

    /// [`ErrorCode::INTERNAL_ERROR`] with this message.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::INTERNAL_ERROR, message)
    }

    /// Says that the same call may succeed later.
    #[must_use]
    pub fn retryable(mut self) -> Self {
        self.0.retryable = true;
        self
    }

    /// Says how long to wait before the call is made again.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// Adds what the server said.
    #[must_use]
    pub fn with_http(mut self, http: HttpFailure) -> Self {
        self.0.http = Some(http);
        self
    }

    /// Adds an error and everything in its `source()` chain to the causes.
    #[must_use]
    pub fn with_cause(mut self, cause: &dyn std::error::Error) -> Self {
        let mut end = &mut self.0.cause;
        while let Some(known) = end {
            end = &mut known.cause;
        }
        *end = Some(Cause::chain(cause));
        self
    }

    /// Adds a named value for programs to read.
    #[must_use]
    pub fn with_detail(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.0.details.insert(name.into(), value.into());
        self
    }

    /// Returns the error without the redactor's secrets: in the code, the message, what the server said, the causes, and
    /// the details.
    #[must_use]
    pub fn redacted(mut self, redactor: &Redactor) -> Self {
        let hide = |text: &mut String| *text = redactor.hide(text);
        let fields = &mut *self.0;
        hide(&mut fields.message);
        if let Cow::Owned(code) = &mut fields.code.0 {
            hide(code);
        }
        if let Some(http) = &mut fields.http {
            hide(&mut http.body);
            http.request_id.iter_mut().for_each(hide);
        }
        let mut cause = fields.cause.as_deref_mut();
        while let Some(link) = cause {
            hide(&mut link.message);
            cause = link.cause.as_deref_mut();
        }
        fields.details.values_mut().for_each(|value| redact(value, redactor));
        self
    }

    /// The machine-readable code.
    pub fn code(&self) -> &ErrorCode {
        &self.0.code
    }

    /// The message, one line.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Whether the same call may succeed later. Decided once, where the fault was seen.
    pub fn is_retryable(&self) -> bool {
        self.0.retryable
    }

    /// How long the server asked to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The status that the server answered, where one did, such as 404.
    pub fn http_status(&self) -> Option<u16> {
        self.http().map(|http| http.status)
    }

    /// What the server said, where there was one.
    pub fn http(&self) -> Option<&HttpFailure> {
        self.0.http.as_ref()
    }

    /// What lies behind the message, outermost first: the messages of the `source()` chain.
    pub fn causes(&self) -> impl Iterator<Item = &str> {
        causes::messages(self.0.cause.as_deref())
    }

    /// Named values for programs to read.
    pub fn details(&self) -> &Map<String, Value> {
        &self.0.details
    }

    /// The error as the JSON that crosses the boundary.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("an error holds only strings, numbers and JSON")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.cause.as_deref().map(|cause| cause as _)
    }
}

/// Hides secrets in the texts of a value.
fn redact(value: &mut Value, redactor: &Redactor) {
    match value {
        Value::String(text) => *text = redactor.hide(text),
        Value::Array(values) => values.iter_mut().for_each(|value| redact(value, redactor)),
        Value::Object(members) => members.values_mut().for_each(|value| redact(value, redactor)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// One link of what lies behind an error. Only the message of what it was crosses the boundary.
#[derive(Clone, Debug, PartialEq)]
struct Cause {
    message: String,
    cause: Option<Box<Self>>,
}

impl Cause {
    /// An error and everything in its `source()` chain.
    fn chain(error: &dyn std::error::Error) -> Box<Self> {
        Box::new(Self { message: error.to_string(), cause: error.source().map(Self::chain) })
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Cause {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

/// A chain of causes as a list of messages, outermost first.
mod causes {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Cause;

    /// How many causes are read: each holds the next, and no list that a plugin sends may grow deeper than the stack.
    const MOST: usize = 64;

    pub(super) fn messages(cause: Option<&Cause>) -> impl Iterator<Item = &str> {
        std::iter::successors(cause, |cause| cause.cause.as_deref()).map(|cause| cause.message.as_str())
    }

    #[expect(clippy::ref_option, reason = "serde's `with` passes the field by reference")]
    pub(super) fn serialize<S: Serializer>(cause: &Option<Box<Cause>>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(messages(cause.as_deref()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<Cause>>, D::Error> {
        let mut messages = Vec::<String>::deserialize(deserializer)?;
        messages.truncate(MOST);
        Ok(messages.into_iter().rev().fold(None, |cause, message| Some(Box::new(Cause { message, cause }))))
    }
}
/// A duration as a whole number of milliseconds, or null.
mod milliseconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "serde's `with` passes the field by reference")]
    pub(super) fn serialize<S: Serializer>(wait: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        wait.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_millis))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_survives_the_round_trip() {
        let inner = std::io::Error::other("connection reset");
        let error = Error::new(ErrorCode::new("ENDPOINT_NOT_FOUND"), "no endpoint `chat`")
            .retryable()
            .with_retry_after(Duration::from_millis(1500))
            .with_http(HttpFailure { request_id: Some("r-1".to_owned()), ..HttpFailure::new(404, "{}") })
            .with_cause(&inner)
            .with_detail("endpoint", "chat");
        let back: Error = serde_json::from_slice(&error.to_json()).unwrap();
        assert_eq!(back, error);
        assert_eq!(back.causes().collect::<Vec<_>>(), ["connection reset"]);
        assert_eq!(std::error::Error::source(&back).unwrap().to_string(), "connection reset");
    }

    #[test]
    fn a_redacted_error_has_no_secret_in_any_part() {
        let inner = std::io::Error::other("S3CR3T inside");
        let error = Error::new(ErrorCode::new("S3CR3T".to_owned()), "no: S3CR3T")
            .with_http(HttpFailure { request_id: Some("S3CR3T".to_owned()), ..HttpFailure::new(404, "{S3CR3T}") })
            .with_cause(&std::io::Error::other(inner))
            .with_cause(&Error::internal("and S3CR3T"))
            .with_detail("given", serde_json::json!([{"a": "S3CR3T"}, 1]));
        let error = error.redacted(&Redactor::new([crate::Secret::new("S3CR3T")]));
        assert!(!format!("{error:?}").contains("S3CR3T"), "{error:?}");
        assert_eq!(error.message(), "no: <redacted>");
        assert_eq!(error.causes().last(), Some("and <redacted>"));
    }

    #[test]
    fn a_million_causes_do_not_exhaust_the_stack() {
        // Miri takes half an hour for a million, and looks for other faults than this.
        let causes = vec!["again"; if cfg!(miri) { 1_000 } else { 1_000_000 }];
        let json = serde_json::json!({"code": "X", "message": "m", "causes": causes}).to_string();
        assert_eq!(serde_json::from_str::<Error>(&json).unwrap().causes().count(), 64);
    }

    #[test]
    fn only_code_and_message_are_required() {
        let error: Error = serde_json::from_str(r#"{"code":"X","message":"m","future":1}"#).unwrap();
        assert_eq!((error.code().as_str(), error.message(), error.is_retryable()), ("X", "m", false));
    }
}
