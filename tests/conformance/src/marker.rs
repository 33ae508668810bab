//! The outcome of a case that does not pass, and the macro `ensure`.

/// The outcome of a case that does not pass, with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Marker {
    /// The plugin violates the clause.
    Fail(String),
    /// The plugin keeps the clause, with a remark.
    Warn(String),
    /// There is nothing to check.
    Skip(String),
    /// The plugin violated nothing, but the calls that the case needs did not succeed.
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

/// Returns from the function with a failure and a formatted message unless the condition is true.
macro_rules! ensure {
    ($condition:expr, $($message:tt)*) => {
        if !$condition {
            return Err($crate::marker::Marker::fail(format!($($message)*)));
        }
    };
}

pub(crate) use ensure;
