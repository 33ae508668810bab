//! The error replies of the workspace.

use serde_json::{Value, json};

use crate::answer::Answer;

/// An error reply, with its status, `error_code` and message.
#[derive(Debug)]
pub(super) struct ApiError {
    status: u16,
    code: &'static str,
    message: String,
}

/// The result of an operation: its reply, or an error.
pub(super) type ApiResult = Result<Value, ApiError>;

impl ApiError {
    /// Returns an error with this status, `error_code` and message.
    pub(super) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }
}

impl From<ApiError> for Answer {
    fn from(error: ApiError) -> Self {
        Self::new(error.status, json!({"error_code": error.code, "message": error.message}).to_string())
    }
}
