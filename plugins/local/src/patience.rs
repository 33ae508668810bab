//! Waits of which the caller is told when they last.

use std::pin::pin;
use std::time::Duration;

use mlflow_deploy_plugin_api::call;
use tokio::time::timeout;

/// Waits for `wait`, and warns the caller once if it lasts longer than `silence`.
pub(crate) async fn told<T>(wait: impl Future<Output = T>, silence: Duration, warning: impl FnOnce() -> String) -> T {
    let mut wait = pin!(wait);
    match timeout(silence, &mut wait).await {
        Ok(done) => done,
        Err(_lasts) => {
            call::warn(warning());
            wait.await
        }
    }
}
