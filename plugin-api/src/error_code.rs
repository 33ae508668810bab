//! The machine-readable codes of errors. A code that is not among the constants is kept unchanged.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Redactor;

/// Declares a constant for each code, and the list of all these constants.
macro_rules! error_codes {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        impl ErrorCode {
            $($(#[$doc])* pub const $name: Self = Self(Cow::Borrowed(stringify!($name)));)*

            /// All codes that are constants of this type.
            pub const KNOWN: &[Self] = &[$(Self::$name),*];
        }
    };
}

/// A machine-readable error code. MLflow defines most codes, and this project defines those for faults of plugins.
///
/// Other codes than the constants are possible. Such a code, which a server may send, is kept unchanged.
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
    /// The deadline passed before the reply arrived.
    DEADLINE_EXCEEDED,
    /// A fault that no other code describes.
    INTERNAL_ERROR,
    /// An argument, option or setting is not valid.
    INVALID_PARAMETER_VALUE,
    /// The target does not support the operation.
    NOT_IMPLEMENTED,
    /// The credentials do not permit the operation (HTTP 403).
    PERMISSION_DENIED,
    /// The process of an isolated plugin ended or was killed. The call may or may not have had an effect. The host
    /// creates this error, and restarts the process for the next call.
    PLUGIN_CRASHED,
    /// The host could not load a plugin.
    PLUGIN_LOAD_FAILED,
    /// The host found no plugin that serves the target.
    PLUGIN_NOT_FOUND,
    /// A plugin panicked. All later calls of the same client fail with the same error.
    PLUGIN_PANICKED,
    /// The host found that a plugin broke the contract, for example by sending a chunk without credit.
    PLUGIN_PROTOCOL_VIOLATION,
    /// The name is already taken by another resource (HTTP 409).
    RESOURCE_ALREADY_EXISTS,
    /// A resource that the request names does not exist (HTTP 404).
    RESOURCE_DOES_NOT_EXIST,
    /// A rate limit or quota is exhausted (HTTP 429).
    RESOURCE_EXHAUSTED,
    /// The server is unavailable (HTTP 502, 503) or unreachable.
    TEMPORARILY_UNAVAILABLE,
    /// The credentials are missing or wrong (HTTP 401).
    UNAUTHENTICATED,
}

impl ErrorCode {
    /// Returns an error code that is not among the constants, such as `ENDPOINT_NOT_FOUND` from a server.
    pub fn new(code: impl Into<Cow<'static, str>>) -> Self {
        Self(code.into())
    }

    /// Returns the code as a string, in the form that JSON uses.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Redacts the secrets of `redactor` in the code, unless the code is one of the constants.
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
