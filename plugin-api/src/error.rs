//! The error type that plugins return to hosts, and its JSON form.
//!
//! The code that finds a fault creates the error. The plugin serializes the error to JSON, and the host deserializes
//! it. No layer in between changes the error, so that all of its parts reach the user.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{ErrorCode, HttpFailure, Redactor};

/// The result of an operation of a plugin.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The error of a failed operation.
///
/// `Display` shows the message, on one line. [`causes`](Self::causes) and
/// [`source`](std::error::Error::source) return the underlying errors, outermost first.
///
/// ```
/// use std::time::Duration;
/// use mlflow_deploy_plugin_api::{Error, ErrorCode, HttpFailure};
///
/// let error = Error::new(ErrorCode::RESOURCE_EXHAUSTED, "the rate limit of `chat` is exhausted: retry later")
///     .retryable()
///     .with_retry_after(Duration::from_secs(2))
///     .with_http(HttpFailure::new(429, "slow down"));
/// assert_eq!((error.http_status(), error.is_retryable()), (Some(429), true));
/// ```
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Error(Box<Fields>);

/// The parts of an error. They are boxed to keep `Result` values small.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Returns an error with this code and message. The message should be a sentence fragment in lower case. It says
    /// what failed (with the value in backticks), what was expected, and what the user can do.
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

    /// Returns an error with [`ErrorCode::INVALID_PARAMETER_VALUE`] and this message.
    pub fn invalid_parameter(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::INVALID_PARAMETER_VALUE, message)
    }

    /// Returns an error with [`ErrorCode::INTERNAL_ERROR`] and this message.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::INTERNAL_ERROR, message)
    }

    /// Marks the error as retryable: the same call may succeed later.
    #[must_use]
    pub fn retryable(mut self) -> Self {
        self.0.retryable = true;
        self
    }

    /// Sets the time to wait before a retry of the call.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// Adds the server's response to the error.
    #[must_use]
    pub fn with_http(mut self, http: HttpFailure) -> Self {
        self.0.http = Some(http);
        self
    }

    /// Appends `cause` and the errors of its `source()` chain to the causes.
    #[must_use]
    pub fn with_cause(mut self, cause: &dyn std::error::Error) -> Self {
        let mut end = &mut self.0.cause;
        while let Some(known) = end {
            end = &mut known.cause;
        }
        *end = Some(Cause::chain(cause));
        self
    }

    /// Adds a named value to the details of the error, which programs can read.
    #[must_use]
    pub fn with_detail(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.0.details.insert(name.into(), value.into());
        self
    }

    /// Returns the error without the redactor's secrets: in the code, the message, the server's response, the causes,
    /// and the details.
    #[must_use]
    pub fn redacted(mut self, redactor: &Redactor) -> Self {
        let hide = |text: &mut String| *text = redactor.hide(text);
        let fields = &mut *self.0;
        hide(&mut fields.message);
        fields.code.redact(redactor);
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

    /// Returns the machine-readable code of the error.
    pub fn code(&self) -> &ErrorCode {
        &self.0.code
    }

    /// Returns the message, which is one line of text.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns true if the same call may succeed later. The code that creates the error decides this.
    pub fn is_retryable(&self) -> bool {
        self.0.retryable
    }

    /// Returns the time to wait before a retry; `None` if the server did not specify one.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Returns the HTTP status of the server's response, such as 404; `None` if no server responded.
    pub fn http_status(&self) -> Option<u16> {
        self.http().map(|http| http.status)
    }

    /// Returns the server's response; `None` if no server responded.
    pub fn http(&self) -> Option<&HttpFailure> {
        self.0.http.as_ref()
    }

    /// Returns the messages of the underlying errors, outermost first.
    pub fn causes(&self) -> impl Iterator<Item = &str> {
        causes::messages(self.0.cause.as_deref())
    }

    /// Returns the details of the error, which are named values for programs.
    pub fn details(&self) -> &Map<String, Value> {
        &self.0.details
    }

    /// Serializes the error to JSON, the form in which plugins send errors to hosts.
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

/// Redacts the secrets of `redactor` in all strings of a JSON value, except for the keys of objects.
fn redact(value: &mut Value, redactor: &Redactor) {
    match value {
        Value::String(text) => *text = redactor.hide(text),
        Value::Array(values) => values.iter_mut().for_each(|value| redact(value, redactor)),
        Value::Object(members) => members.values_mut().for_each(|value| redact(value, redactor)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// An underlying error. Plugins send only its message to hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Cause {
    message: String,
    cause: Option<Box<Self>>,
}

impl Cause {
    /// Converts an error and the errors of its `source()` chain to a chain of causes.
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

/// Serializes a chain of causes as a list of messages, outermost first. Deserializes such a list.
mod causes {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Cause;

    /// The maximum number of causes that are deserialized. Causes are nested, so that a longer list from a plugin could
    /// overflow the stack.
    const MAX_COUNT: usize = 64;

    pub(super) fn messages(cause: Option<&Cause>) -> impl Iterator<Item = &str> {
        std::iter::successors(cause, |cause| cause.cause.as_deref()).map(|cause| cause.message.as_str())
    }

    #[expect(clippy::ref_option, reason = "serde's `with` passes the field by reference")]
    pub(super) fn serialize<S: Serializer>(cause: &Option<Box<Cause>>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(messages(cause.as_deref()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<Cause>>, D::Error> {
        let mut messages = Vec::<String>::deserialize(deserializer)?;
        messages.truncate(MAX_COUNT);
        Ok(messages.into_iter().rev().fold(None, |cause, message| Some(Box::new(Cause { message, cause }))))
    }
}

/// Serializes an optional duration as a whole number of milliseconds or null. Deserializes such a number.
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
    fn every_part_of_an_error_survives_the_round_trip() {
        let inner = std::io::Error::other("connection reset");
        let error = Error::new(ErrorCode::new("ENDPOINT_NOT_FOUND"), "unknown endpoint `chat`")
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
    fn a_million_causes_are_truncated_to_64() {
        // Miri takes half an hour for a million.
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
