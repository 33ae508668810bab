//! The outcome of a conformance case that does not pass, and the macro `ensure`, which returns it.

/// The outcome of a conformance case that does not pass, with the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Marker {
    /// The plugin violates the clause of the contract that the case checks.
    Fail(String),
    /// The plugin does not violate the clause that the case checks, but should be improved.
    Warn(String),
    /// The case does not apply to the plugin, so there is nothing to check.
    Skip(String),
    /// The plugin did not violate the contract, but the calls that the case needs did not succeed.
    Unproven(String),
    /// The harness failed or needs a config, so the plugin could not be checked.
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

/// Returns `Marker::Fail` with a formatted message from the calling function, unless the condition is true.
macro_rules! ensure {
    ($condition:expr, $($message:tt)*) => {
        if !$condition {
            return Err($crate::marker::Marker::fail(format!($($message)*)));
        }
    };
}

pub(crate) use ensure;
