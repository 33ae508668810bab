//! Warns the caller about waits that take long.

use std::pin::pin;
use std::time::Duration;

use mlflow_deploy_plugin_api::call;
use tokio::time::timeout;

/// Awaits `wait` and returns its output. Sends one warning to the caller if this takes longer than `silence`.
pub(super) async fn warn_if_slow<T>(
    wait: impl Future<Output = T>,
    silence: Duration,
    warning: impl FnOnce() -> String,
) -> T {
    let mut wait = pin!(wait);
    match timeout(silence, &mut wait).await {
        Ok(done) => done,
        Err(_elapsed) => {
            call::warn(warning());
            wait.await
        }
    }
}
