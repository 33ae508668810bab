//! The Python scoring servers of one model. A server computes one prediction at a time, so several servers use several
//! processors.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::try_join_all;
use mlflow_deploy_plugin_api::{Payload, Result};

use super::interpreter::Python;
use super::server::PythonServer;

/// The Python scoring servers of one model. There is at least one server. Each server has its own copy of the model in
/// memory, and restarts independently. The server processes end when this value is dropped.
pub(crate) struct PythonServers(Vec<Worker>);

/// A Python scoring server, and the number of requests that it is processing.
struct Worker {
    server: PythonServer,
    requests: AtomicUsize,
}

impl PythonServers {
    /// Starts `workers` servers for the model in the folder `model`, in the background. Must be called on the plugin's
    /// runtime.
    pub(crate) fn start(python: &Python, model: &Path, start_timeout: Duration, workers: usize) -> Self {
        let worker =
            || Worker { server: PythonServer::start(python, model, start_timeout), requests: AtomicUsize::new(0) };
        Self((0..workers.max(1)).map(|_| worker()).collect())
    }

    /// Returns the path of the Python interpreter that runs the servers.
    pub(crate) fn python(&self) -> &Path {
        self.0[0].server.python()
    }

    /// Waits until every server has loaded the model.
    ///
    /// # Errors
    /// Fails as [`PythonServer::ready`] does.
    pub(crate) async fn ready(&self) -> Result<()> {
        try_join_all(self.0.iter().map(|worker| worker.server.ready())).await.map(drop)
    }

    /// Sends a prediction request to the running server with the fewest current requests. Uses a server that is not
    /// running only if all servers are not running.
    ///
    /// # Errors
    /// Fails as [`PythonServer::predict`] does.
    pub(crate) async fn predict(&self, inputs: &Payload) -> Result<Payload> {
        let load = |worker: &&Worker| (!worker.server.is_running(), worker.requests.load(Ordering::Relaxed));
        let worker = self.0.iter().min_by_key(load).expect("a model has a server");
        worker.requests.fetch_add(1, Ordering::Relaxed);
        let _done = Done(&worker.requests);
        worker.server.predict(inputs).await
    }
}

/// Decrements a server's number of requests when this value is dropped. This also happens if the request is cancelled.
struct Done<'a>(&'a AtomicUsize);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
