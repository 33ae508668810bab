//! The error of the host: a failure before the plugin was called, or the error that the plugin returned.

use std::fmt::Write as _;
use std::path::PathBuf;

use mlflow_deploy_plugin_api::{ErrorCode, text};

use crate::{LoadError, NoPlugin};

/// An error of the host or of a target.
///
/// ```
/// use mlflow_deploy::{Error, ErrorCode, Host};
///
/// let error = Host::builder().search_path::<&str>([]).build().target(Some("nope")).unwrap_err();
/// assert_eq!(error.code(), &ErrorCode::PLUGIN_NOT_FOUND);
/// assert!(matches!(&error, Error::NoPlugin(missing) if missing.target.scheme() == "nope"));
/// eprintln!("error: {error}\n{}", error.explanation());
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Two plugins in one directory serve the scheme.
    #[error("two plugins in one directory serve `{scheme}`: `{}` and `{}`; remove one, or choose with `HostBuilder::plugin`", first.display(), second.display())]
    Ambiguous {
        /// The requested scheme.
        scheme: String,
        /// The first plugin.
        first: PathBuf,
        /// The second plugin.
        second: PathBuf,
    },
    /// The user's configuration is invalid or cannot be read.
    #[error("the configuration `{}` cannot be used: {why}", path.display())]
    Config {
        /// The path of the file.
        path: PathBuf,
        /// The reason, as a fragment.
        why: String,
    },
    /// The plugin of the target could not be loaded.
    #[error("failed to load the plugin `{}`: {refusal}", path.display())]
    Load {
        /// The path of the plugin.
        path: PathBuf,
        /// The reason.
        refusal: LoadError,
    },
    /// The lock file is missing, untrusted or invalid.
    #[error("the lock file `{}` cannot be used: {why}", path.display())]
    Lock {
        /// The path of the file.
        path: PathBuf,
        /// The reason, as a fragment.
        why: String,
    },
    /// The host does not allow the scheme.
    #[error("the scheme `{scheme}` is not allowed, only `{}`", allowed.join("`, `"))]
    NotAllowed {
        /// The requested scheme.
        scheme: String,
        /// The allowed schemes.
        allowed: Vec<String>,
    },
    /// No plugin serves the target.
    #[error("{0}")]
    NoPlugin(Box<NoPlugin>),
    /// The call specifies no target, and none is set.
    #[error("no deployments target has been set: specify a target, or set `MLFLOW_DEPLOYMENTS_TARGET`")]
    NoTarget,
    /// The target URI is invalid, or the plugin returned this error.
    #[error(transparent)]
    Target(#[from] mlflow_deploy_plugin_api::Error),
}

impl Error {
    /// Returns the machine-readable code.
    pub fn code(&self) -> &ErrorCode {
        match self {
            Self::Ambiguous { .. } | Self::Config { .. } | Self::Lock { .. } | Self::NoTarget => {
                &ErrorCode::INVALID_PARAMETER_VALUE
            }
            Self::Load { .. } => &ErrorCode::PLUGIN_LOAD_FAILED,
            Self::NotAllowed { .. } => &ErrorCode::PERMISSION_DENIED,
            Self::NoPlugin(_) => &ErrorCode::PLUGIN_NOT_FOUND,
            Self::Target(error) => error.code(),
        }
    }

    /// Returns true if the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Target(error) if error.is_retryable())
    }

    /// Returns the HTTP status, if the error comes from a server.
    pub fn http_status(&self) -> Option<u16> {
        match self {
            Self::Target(error) => error.http_status(),
            _ => None,
        }
    }

    /// Returns details for the user, in several lines: the searched directories, or the causes.
    pub fn explanation(&self) -> String {
        match self {
            Self::NoPlugin(missing) => missing.explanation(),
            Self::Target(error) => error.causes().fold(String::new(), |mut causes, cause| {
                let _ = writeln!(causes, "{}", text::message(&format!("caused by: {cause}")));
                causes
            }),
            Self::Ambiguous { .. }
            | Self::Config { .. }
            | Self::Load { .. }
            | Self::Lock { .. }
            | Self::NoTarget
            | Self::NotAllowed { .. } => String::new(),
        }
    }
}
