//! The codes of errors. The set is open: a code that is not among the constants travels unchanged.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Redactor;

/// Declares the codes once: the constant, its text, and its documentation.
macro_rules! error_codes {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        impl ErrorCode {
            $($(#[$doc])* pub const $name: Self = Self(Cow::Borrowed(stringify!($name)));)*

            /// The codes that this version of the interface names.
            pub const KNOWN: &[Self] = &[$(Self::$name),*];
        }
    };
}

/// A machine-readable error code: one of MLflow's, or one of this project's for faults of plugins.
///
/// The set is open. A code that this version does not name, such as one that a server sent, is kept unchanged.
///
/// ```
/// use mlflow_deploy_plugin_api::{Error, ErrorCode};
///
/// let error = Error::new(ErrorCode::RESOURCE_DOES_NOT_EXIST, "unknown endpoint `chat`");
/// assert!(*error.code() == ErrorCode::RESOURCE_DOES_NOT_EXIST);
/// let advice = match error.code().as_str() {
///     "RESOURCE_DOES_NOT_EXIST" => "list the endpoints",
///     "UNAUTHENTICATED" | "PERMISSION_DENIED" => "check the credentials",
///     _ => "see the log",
/// };
/// assert_eq!(advice, "list the endpoints");
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ErrorCode(Cow<'static, str>);

error_codes! {
    /// The server rejected the request as malformed (HTTP 400).
    BAD_REQUEST,
    /// The caller cancelled the call.
    CANCELLED,
    /// The deadline passed before the reply came.
    DEADLINE_EXCEEDED,
    /// A fault that no other code describes.
    INTERNAL_ERROR,
    /// An argument, option or setting is not valid.
    INVALID_PARAMETER_VALUE,
    /// The target does not support the operation.
    NOT_IMPLEMENTED,
    /// The credentials do not permit the operation (HTTP 403).
    PERMISSION_DENIED,
    /// The process of an isolated plugin ended or was killed. The call may or may not have had an effect. Created by
    /// the host, which restarts the process for the next call.
    PLUGIN_CRASHED,
    /// A plugin could not be loaded. Created by the host.
    PLUGIN_LOAD_FAILED,
    /// No plugin serves the target. Created by the host.
    PLUGIN_NOT_FOUND,
    /// A plugin panicked. Every later call of the same client fails with the same error.
    PLUGIN_PANICKED,
    /// A plugin broke the contract, such as by a chunk without credit. Created by the host.
    PLUGIN_PROTOCOL_VIOLATION,
    /// The name is taken (HTTP 409).
    RESOURCE_ALREADY_EXISTS,
    /// The named resource does not exist (HTTP 404).
    RESOURCE_DOES_NOT_EXIST,
    /// A rate limit or quota is exhausted (HTTP 429).
    RESOURCE_EXHAUSTED,
    /// The server is unavailable (HTTP 502, 503) or unreachable.
    TEMPORARILY_UNAVAILABLE,
    /// The credentials are missing or wrong (HTTP 401).
    UNAUTHENTICATED,
}

impl ErrorCode {
    /// Returns a code that is not among the constants, such as `ENDPOINT_NOT_FOUND` from a server.
    pub fn new(code: impl Into<Cow<'static, str>>) -> Self {
        Self(code.into())
    }

    /// Returns the code as it is written in JSON.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Removes the redactor's secrets from a code that is not among the constants.
    pub(crate) fn redact(&mut self, redactor: &Redactor) {
        if let Cow::Owned(code) = &mut self.0 {
            *code = redactor.hide(code);
        }
    }
}

impl AsRef<str> for ErrorCode {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for ErrorCode {
    fn eq(&self, code: &str) -> bool {
        self.0 == code
    }
}

impl PartialEq<&str> for ErrorCode {
    fn eq(&self, code: &&str) -> bool {
        self.0 == *code
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
