//! A host with an isolated plugin, and a record of the log messages of its plugins.

use std::sync::{Arc, Mutex};

use mlflow_deploy::args::Predict;
use mlflow_deploy::{Host, HostBuilder, JSON, Payload, PluginEvent};
use mlflow_deploy_test_support::cdylib;
use tokio::sync::Notify;

pub(super) const HERMIT: &str = "mlflow-deploy-fixture-hermit";

/// Returns a host with the plugin `hermit`, which requires isolation.
pub(super) fn hermit() -> HostBuilder {
    Host::builder().plugin(cdylib::path(HERMIT)).plugin_host(cdylib::program("mlflow-deploy-plugin-host"))
}

pub(super) fn predict(endpoint: &str) -> Predict {
    let inputs = Payload::new(JSON, "[1]");
    Predict { endpoint: Some(endpoint.to_owned()), inputs, ..Predict::default() }
}

/// The log messages that a host has received from its plugins.
#[derive(Clone, Default)]
pub(super) struct Messages(pub(super) Arc<(Mutex<Vec<String>>, Notify)>);

impl Messages {
    pub(super) fn listener(&self) -> impl Fn(PluginEvent) + Send + Sync + 'static {
        let messages = self.clone();
        move |event| {
            messages.0.0.lock().unwrap().push(event.event.message);
            messages.0.1.notify_waiters();
        }
    }

    /// Waits until the host has received `message` at least `times` times.
    pub(super) async fn wait(&self, message: &str, times: usize) {
        loop {
            let more = self.0.1.notified();
            tokio::pin!(more);
            more.as_mut().enable();
            if self.all().iter().filter(|other| *other == message).count() >= times {
                return;
            }
            more.await;
        }
    }

    pub(super) fn all(&self) -> Vec<String> {
        self.0.0.lock().unwrap().clone()
    }
}
