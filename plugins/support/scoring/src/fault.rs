//! Why a request is refused, in the words of MLflow's scoring server. Never a message from inside the engine.

use mlflow_deploy_plugin_api::{Error, ErrorCode};

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    kind: Kind,
    /// What was given, what was expected, and where.
    pub(crate) message: String,
}

/// What is wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It cannot be read, or a value cannot be converted.
    BadRequest,
    /// A value would be changed by conversion, or a parameter is not what the signature says.
    InvalidParameter,
    /// The inputs are not those of the signature.
    Schema,
    /// The content type is none that is read.
    UnsupportedMediaType,
}

impl Fault {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(Kind::BadRequest, message)
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::InvalidParameter, message)
    }

    pub(crate) fn schema(message: impl Into<String>) -> Self {
        Self::new(Kind::Schema, message)
    }

    /// The HTTP status of MLflow's scoring server: 400, or 415 with the message as plain text.
    pub(crate) fn status(&self) -> u16 {
        match self.kind {
            Kind::UnsupportedMediaType => 415,
            Kind::BadRequest | Kind::InvalidParameter | Kind::Schema => 400,
        }
    }

    /// `error_code` of the error's JSON.
    pub(crate) fn error_code(&self) -> ErrorCode {
        match self.kind {
            Kind::BadRequest => ErrorCode::BAD_REQUEST,
            Kind::InvalidParameter | Kind::Schema | Kind::UnsupportedMediaType => ErrorCode::INVALID_PARAMETER_VALUE,
        }
    }

    /// `sqlstate` of the error's JSON.
    pub(crate) fn sqlstate(&self) -> &'static str {
        match self.kind {
            Kind::Schema => "KAM01",
            Kind::BadRequest | Kind::InvalidParameter | Kind::UnsupportedMediaType => "KAM00",
        }
    }

    /// `error_class` of the error's JSON.
    pub(crate) fn error_class(&self) -> &'static str {
        match self.kind {
            Kind::Schema => "SCHEMA_ENFORCEMENT_FAILED",
            Kind::BadRequest | Kind::InvalidParameter | Kind::UnsupportedMediaType => "INVALID_PARAMETER_VALUE",
        }
    }
}

/// The error has the rest of the scoring server's answer in its details.
impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        let (status, sqlstate, class) = (fault.status(), fault.sqlstate(), fault.error_class());
        Self::new(fault.error_code(), fault.message)
            .with_detail("http_status", status)
            .with_detail("sqlstate", sqlstate)
            .with_detail("error_class", class)
    }
}
