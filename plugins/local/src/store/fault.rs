//! What the file system says, as errors that tell what to do.

use std::fmt::Display;
use std::io;
use std::path::Path;

use mlflow_deploy_plugin_api::{Error, ErrorCode};

/// A failure to read or write a path.
pub(crate) fn fault(what: impl Display, path: &Path, error: &io::Error) -> Error {
    use io::ErrorKind::{
        AlreadyExists, NotADirectory, NotFound, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull,
    };
    let (code, advice) = match error.kind() {
        StorageFull | QuotaExceeded => (
            ErrorCode::RESOURCE_EXHAUSTED,
            "; nothing was changed: make room, or choose another directory with the option `state_dir`",
        ),
        PermissionDenied | ReadOnlyFilesystem => (
            ErrorCode::PERMISSION_DENIED,
            "; choose a directory that can be written with the option `state_dir` or `MLFLOW_DEPLOY_LOCAL_STATE`",
        ),
        AlreadyExists | NotADirectory | NotFound => (
            ErrorCode::INVALID_PARAMETER_VALUE,
            "; choose another directory with the option `state_dir` or \
             `MLFLOW_DEPLOY_LOCAL_STATE`",
        ),
        _ => (ErrorCode::INTERNAL_ERROR, ""),
    };
    Error::new(code, format!("failed to {what} `{}`: {error}{advice}", path.display()))
}
