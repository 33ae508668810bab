//! Builds the clients of the library: the settings and the errors that all stores share.

use mlflow_deploy_plugin_api::{Error, Result};
use object_store::{BackoffConfig, RetryConfig};

/// Returns the library's settings for no retries, because the HTTP client retries.
pub(crate) fn without_retries() -> RetryConfig {
    RetryConfig { max_retries: 0, backoff: BackoffConfig::default(), ..RetryConfig::default() }
}

/// Converts the library's error for a client that cannot be built. The error may quote a file with credentials, so only
/// its kind is shown.
pub(crate) fn configured<T>(store: &str, built: object_store::Result<T>) -> Result<T> {
    built.map_err(|error| {
        let text = error.to_string();
        let reason = match text.as_str() {
            text if text.contains("Unable to open") || text.contains("No such file") => {
                "the file with its credentials cannot be read"
            }
            text if text.contains("decod") || text.contains("deserial") || text.contains("pars") => {
                "its credentials do not have the expected form"
            }
            _ => "its settings are incomplete or contradict each other",
        };
        Error::invalid_parameter(format!(
            "failed to set up {store}: {reason}; check the environment variables of the store"
        ))
    })
}
