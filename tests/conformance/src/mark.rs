//! What a case has to say where it does not simply pass.

/// Why a case did not simply pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// The plugin does something else than the clause says.
    Fail(String),
    /// It does, and something about it should be known.
    Warn(String),
    /// There is nothing to check.
    Skip(String),
    /// The harness itself could not do its work.
    Fault(String),
}

impl Mark {
    pub(crate) fn fail(why: impl Into<String>) -> Self {
        Self::Fail(why.into())
    }

    pub(crate) fn warn(why: impl Into<String>) -> Self {
        Self::Warn(why.into())
    }

    pub(crate) fn skip(why: impl Into<String>) -> Self {
        Self::Skip(why.into())
    }

    pub(crate) fn fault(why: impl std::fmt::Display) -> Self {
        Self::Fault(why.to_string())
    }
}

/// Fails with a message unless something is so.
macro_rules! ensure {
    ($is_so:expr, $($why:tt)*) => {
        if !$is_so {
            return Err($crate::mark::Mark::fail(format!($($why)*)));
        }
    };
}

pub(crate) use ensure;
