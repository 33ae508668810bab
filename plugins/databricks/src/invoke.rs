//! The operations that `invoke` runs by name. Their names are the same as in MLflow.

use http::Method;
use mlflow_deploy_plugin_api::{Error, ErrorCode, Result};

/// An operation that `invoke` runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Changes a part of an endpoint, by this HTTP method and the name of the part. The config is the body of the
    /// request.
    Change(Method, &'static str),
    /// Reads logs of a served model: `logs` or `build-logs`.
    Logs(&'static str),
    /// Reads or changes the permissions of an endpoint, by this HTTP method. The config is the body of the request.
    Permissions(Method),
    /// Reads a text about an endpoint, such as its `metrics`.
    Text(&'static str),
}

/// The names of the operations that `invoke` runs, and the operations.
pub(crate) const OPERATIONS: [(&str, Operation); 11] = [
    ("update_endpoint_config", Operation::Change(Method::PUT, "config")),
    ("update_endpoint_tags", Operation::Change(Method::PATCH, "tags")),
    ("update_endpoint_rate_limits", Operation::Change(Method::PUT, "rate-limits")),
    ("update_endpoint_ai_gateway", Operation::Change(Method::PUT, "ai-gateway")),
    ("get_build_logs", Operation::Logs("build-logs")),
    ("get_server_logs", Operation::Logs("logs")),
    ("get_metrics", Operation::Text("metrics")),
    ("get_openapi", Operation::Text("openapi")),
    ("get_permissions", Operation::Permissions(Method::GET)),
    ("set_permissions", Operation::Permissions(Method::PUT)),
    ("update_permissions", Operation::Permissions(Method::PATCH)),
];

impl Operation {
    /// Returns the `invoke` operation with this name.
    ///
    /// # Errors
    /// `NOT_IMPLEMENTED` if the name is unknown.
    pub(crate) fn from_name(name: &str) -> Result<Self> {
        let found = OPERATIONS.into_iter().find(|(each, _)| *each == name);
        found.map(|(_, operation)| operation).ok_or_else(|| {
            let known = OPERATIONS.iter().map(|(each, _)| format!("`{each}`")).collect::<Vec<_>>().join(", ");
            Error::new(ErrorCode::NOT_IMPLEMENTED, format!("unknown operation `{name}`: expected one of {known}"))
        })
    }
}
