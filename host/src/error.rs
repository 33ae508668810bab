//! The error of the host. It reports a failure before the plugin was called, or holds the error that the plugin
//! returned.

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
    /// Two plugins in one directory serve the requested scheme.
    #[error("two plugins in one directory serve `{scheme}`: `{}` and `{}`; remove one, or choose with `HostBuilder::plugin`", first.display(), second.display())]
    Ambiguous {
        /// The requested scheme.
        scheme: String,
        /// The path of the first plugin.
        first: PathBuf,
        /// The path of the second plugin.
        second: PathBuf,
    },
    /// The user's configuration is invalid or cannot be read.
    #[error("the configuration `{}` cannot be used: {why}", path.display())]
    Config {
        /// The path of the configuration file.
        path: PathBuf,
        /// The reason, as a sentence fragment.
        why: String,
    },
    /// The plugin of the target could not be loaded.
    #[error("failed to load the plugin `{}`: {refusal}", path.display())]
    Load {
        /// The path of the plugin.
        path: PathBuf,
        /// The reason why the plugin could not be loaded.
        refusal: LoadError,
    },
    /// The lock file is missing, untrusted or invalid.
    #[error("the lock file `{}` cannot be used: {why}", path.display())]
    Lock {
        /// The path of the lock file.
        path: PathBuf,
        /// The reason, as a sentence fragment.
        why: String,
    },
    /// The host's list of allowed schemes does not contain the scheme.
    #[error("the scheme `{scheme}` is not allowed, only `{}`", allowed.join("`, `"))]
    NotAllowed {
        /// The requested scheme.
        scheme: String,
        /// The schemes that the host allows.
        allowed: Vec<String>,
    },
    /// No plugin serves the requested target.
    #[error("{0}")]
    NoPlugin(Box<NoPlugin>),
    /// The call specifies no target, and no current target is set.
    #[error("no deployments target has been set: specify a target, or set `MLFLOW_DEPLOYMENTS_TARGET`")]
    NoTarget,
    /// The target URI is invalid, a secret of a named target cannot be read, or the plugin returned this error.
    #[error(transparent)]
    Target(#[from] mlflow_deploy_plugin_api::Error),
}

impl Error {
    /// Returns the machine-readable code of the error.
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

    /// Returns the HTTP status of the server's response; `None` if the error does not come from a server.
    pub fn http_status(&self) -> Option<u16> {
        match self {
            Self::Target(error) => error.http_status(),
            _ => None,
        }
    }

    /// Returns details for the user, one per line: for a missing plugin the searched directories, otherwise the causes,
    /// if any.
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
