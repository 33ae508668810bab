//! The error for a request that is rejected, with the error codes of MLflow's scoring server.

use std::fmt;

use mlflow_deploy_plugin_api::{Error, ErrorCode};

/// The reason why a request is rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtocolError {
    kind: ProtocolErrorKind,
    /// The message, which names the position, the value, and the expected value or type.
    pub(crate) message: String,
}

/// The category of a [`ProtocolError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProtocolErrorKind {
    /// The request cannot be parsed, or a value cannot be converted.
    BadRequest,
    /// A conversion would change a value, or a parameter does not have the type that the signature declares.
    InvalidParameter,
    /// The inputs do not match those that the signature declares.
    Schema,
    /// The content type is not supported.
    UnsupportedMediaType,
}

impl ProtocolError {
    pub(crate) fn new(kind: ProtocolErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(ProtocolErrorKind::BadRequest, message)
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ProtocolErrorKind::InvalidParameter, message)
    }

    pub(crate) fn schema(message: impl Into<String>) -> Self {
        Self::new(ProtocolErrorKind::Schema, message)
    }

    /// Returns the HTTP status with which MLflow's scoring server answers: 415 for an unsupported content type,
    /// otherwise 400.
    pub(crate) fn status(&self) -> u16 {
        match self.kind {
            ProtocolErrorKind::UnsupportedMediaType => 415,
            ProtocolErrorKind::BadRequest | ProtocolErrorKind::InvalidParameter | ProtocolErrorKind::Schema => 400,
        }
    }

    /// Returns the `error_code` with which MLflow's scoring server answers.
    pub(crate) fn error_code(&self) -> ErrorCode {
        match self.kind {
            ProtocolErrorKind::BadRequest => ErrorCode::BAD_REQUEST,
            ProtocolErrorKind::InvalidParameter
            | ProtocolErrorKind::Schema
            | ProtocolErrorKind::UnsupportedMediaType => ErrorCode::INVALID_PARAMETER_VALUE,
        }
    }

    /// Returns the `sqlstate` with which MLflow's scoring server answers.
    pub(crate) fn sqlstate(&self) -> &'static str {
        match self.kind {
            ProtocolErrorKind::Schema => "KAM01",
            ProtocolErrorKind::BadRequest
            | ProtocolErrorKind::InvalidParameter
            | ProtocolErrorKind::UnsupportedMediaType => "KAM00",
        }
    }

    /// Returns the `error_class` with which MLflow's scoring server answers.
    pub(crate) fn error_class(&self) -> &'static str {
        match self.kind {
            ProtocolErrorKind::Schema => "SCHEMA_ENFORCEMENT_FAILED",
            ProtocolErrorKind::BadRequest
            | ProtocolErrorKind::InvalidParameter
            | ProtocolErrorKind::UnsupportedMediaType => "INVALID_PARAMETER_VALUE",
        }
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for ProtocolError {}

/// Converts the error. The details hold `http_status`, `sqlstate` and `error_class`, as MLflow's scoring server would
/// answer.
impl From<ProtocolError> for Error {
    fn from(error: ProtocolError) -> Self {
        let (status, sqlstate, class) = (error.status(), error.sqlstate(), error.error_class());
        Self::new(error.error_code(), error.message)
            .with_detail("http_status", status)
            .with_detail("sqlstate", sqlstate)
            .with_detail("error_class", class)
    }
}
