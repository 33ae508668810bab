//! The failed HTTP response of a server, as part of an error.

use serde::{Deserialize, Serialize};

/// The failed HTTP response of a server. The status is the one that the server sent.
///
/// See [`Error`](crate::Error) for an example.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HttpFailure {
    /// The HTTP status code, such as 404.
    pub status: u16,
    /// The body of the response as text, truncated if it is long.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub body: String,
    /// The id that the server gave to the request. The server's operators can find the request by this id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl HttpFailure {
    /// Returns a failed response with this status and body.
    pub fn new(status: u16, body: impl Into<String>) -> Self {
        Self { status, body: body.into(), request_id: None }
    }
}
