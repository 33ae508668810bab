//! The outcome of a case that does not pass.

/// The outcome of a case that does not pass, with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Marker {
    /// The plugin violates the clause.
    Fail(String),
    /// The plugin keeps the clause, with a remark.
    Warn(String),
    /// There is nothing to check.
    Skip(String),
    /// Nothing was violated, but what the case needs did not happen.
    Unproven(String),
    /// The harness itself failed.
    Fault(String),
}

impl Marker {
    pub(crate) fn fail(reason: impl Into<String>) -> Self {
        Self::Fail(reason.into())
    }

    pub(crate) fn warn(reason: impl Into<String>) -> Self {
        Self::Warn(reason.into())
    }

    pub(crate) fn skip(reason: impl Into<String>) -> Self {
        Self::Skip(reason.into())
    }

    pub(crate) fn unproven(reason: impl Into<String>) -> Self {
        Self::Unproven(reason.into())
    }

    pub(crate) fn fault(reason: impl std::fmt::Display) -> Self {
        Self::Fault(reason.to_string())
    }
}

/// Returns a failure with a formatted message unless the condition is true.
macro_rules! ensure {
    ($condition:expr, $($message:tt)*) => {
        if !$condition {
            return Err($crate::marker::Marker::fail(format!($($message)*)));
        }
    };
}

pub(crate) use ensure;
