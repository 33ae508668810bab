//! Converts errors of the file system to errors with advice for the user.

use std::fmt::Display;
use std::io;
use std::path::Path;

use mlflow_deploy_plugin_api::{Error, ErrorCode};

/// Returns the error for a failed operation on a path. `action` follows the words `failed to` in the message, such as
/// `read`.
pub(super) fn io_error(action: impl Display, path: &Path, error: &io::Error) -> Error {
    use io::ErrorKind::{
        AlreadyExists, NotADirectory, NotFound, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull,
    };
    let (code, advice) = match error.kind() {
        StorageFull | QuotaExceeded => (
            ErrorCode::RESOURCE_EXHAUSTED,
            "; nothing was changed: free up space, or choose another directory with the option `state_dir`",
        ),
        PermissionDenied | ReadOnlyFilesystem => (
            ErrorCode::PERMISSION_DENIED,
            "; choose a writable directory with the option `state_dir` or `MLFLOW_DEPLOY_LOCAL_STATE`",
        ),
        AlreadyExists | NotADirectory | NotFound => (
            ErrorCode::INVALID_PARAMETER_VALUE,
            "; choose another directory with the option `state_dir` or `MLFLOW_DEPLOY_LOCAL_STATE`",
        ),
        _ => (ErrorCode::INTERNAL_ERROR, ""),
    };
    Error::new(code, format!("failed to {action} `{}`: {error}{advice}", path.display()))
}
