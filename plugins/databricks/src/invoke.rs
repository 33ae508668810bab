//! The operations of Databricks' own, by MLflow's names.

use http::Method;
use mlflow_deploy_plugin_api::{Error, ErrorCode, Result};

/// What an operation does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Changes this part of an endpoint; the config is the request.
    Change(Method, &'static str),
    /// Reads these logs of one of the models that an endpoint serves.
    Logs(&'static str),
    /// Reads or changes who may do what with an endpoint; the config is the request.
    Permissions(Method),
    /// Reads this text about an endpoint.
    Text(&'static str),
}

/// Every operation by its name.
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
    /// The operation of this name.
    ///
    /// # Errors
    /// `NOT_IMPLEMENTED` where there is none.
    pub(crate) fn of(name: &str) -> Result<Self> {
        let found = OPERATIONS.into_iter().find(|(each, _)| *each == name);
        found.map(|(_, operation)| operation).ok_or_else(|| {
            let known = OPERATIONS.iter().map(|(each, _)| format!("`{each}`")).collect::<Vec<_>>().join(", ");
            Error::new(ErrorCode::NOT_IMPLEMENTED, format!("there is no operation `{name}`: expected one of {known}"))
        })
    }
}
