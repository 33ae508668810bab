//! The error replies of the fake Databricks workspace.

use serde_json::{Value, json};

use crate::answer::Answer;

/// An error reply of the workspace, with an HTTP status, an `error_code` and a message.
#[derive(Debug)]
pub(super) struct ApiError {
    status: u16,
    code: &'static str,
    message: String,
}

/// The JSON reply of an operation, or an error reply.
pub(super) type ApiResult = Result<Value, ApiError>;

impl ApiError {
    /// Returns an error reply with this HTTP status, `error_code` and message.
    pub(super) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }
}

impl From<ApiError> for Answer {
    fn from(error: ApiError) -> Self {
        Self::new(error.status, json!({"error_code": error.code, "message": error.message}).to_string())
    }
}
