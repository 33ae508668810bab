//! Isolated plugins, each in a process of its own: equal results and errors, crashes, and orphans.

mod crashes;
mod first_loads;
mod orphans;
mod same;
mod shown;

use std::sync::{Arc, Mutex};

use mlflow_deploy::args::Predict;
use mlflow_deploy::{Host, HostBuilder, JSON, Payload, PluginEvent};
use mlflow_deploy_test_support::cdylib;
use tokio::sync::Notify;

const HERMIT: &str = "mlflow-deploy-fixture-hermit";

/// Returns a host with a plugin that requires isolation.
fn hermit() -> HostBuilder {
    Host::builder().plugin(cdylib::path(HERMIT)).plugin_host(cdylib::program("mlflow-deploy-plugin-host"))
}

fn predict(endpoint: &str) -> Predict {
    let inputs = Payload::new(JSON, "[1]");
    Predict { endpoint: Some(endpoint.to_owned()), inputs, ..Predict::default() }
}

/// The messages of plugins.
#[derive(Clone, Default)]
struct Messages(Arc<(Mutex<Vec<String>>, Notify)>);

impl Messages {
    fn listener(&self) -> impl Fn(PluginEvent) + Send + Sync + 'static {
        let messages = self.clone();
        move |event| {
            messages.0.0.lock().unwrap().push(event.event.message);
            messages.0.1.notify_waiters();
        }
    }

    /// Waits until a message has been received this many times.
    async fn wait(&self, message: &str, times: usize) {
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

    fn all(&self) -> Vec<String> {
        self.0.0.lock().unwrap().clone()
    }
}
