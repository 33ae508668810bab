//! The failed response of a server, which an error carries unchanged.

use serde::{Deserialize, Serialize};

/// The failed response of a server. The status is never changed.
///
/// See [`Error`](crate::Error) for an example.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HttpFailure {
    /// The status code, such as 404.
    pub status: u16,
    /// The body as text, truncated if it is long.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub body: String,
    /// The server's id of the request, for its operators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl HttpFailure {
    /// Returns a failure with this status and body.
    pub fn new(status: u16, body: impl Into<String>) -> Self {
        Self { status, body: body.into(), request_id: None }
    }
}
