//! A running fake of a Ray cluster: an HTTP server and its state.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::ray::api;
use crate::ray::applications::Applications;
use crate::ray::state::ClusterState;
use crate::server::{Request, Server};

/// A running fake of a Ray cluster. It stops when this value is dropped.
#[derive(Debug)]
pub struct Ray {
    server: Server,
    state: Arc<Mutex<ClusterState>>,
}

impl Ray {
    /// Starts a cluster on which Serve does not run yet. Its nodes have Python 3.11.
    pub fn start() -> Self {
        let state = ClusterState { python_version: Some("3.11.7".to_owned()), ..ClusterState::default() };
        let state = Arc::new(Mutex::new(state));
        let server = Server::answering({
            let state = Arc::clone(&state);
            move |request| api::answer(&mut lock(&state), request)
        });
        let port = server.url().rsplit(':').next().and_then(|port| port.parse().ok()).expect("a URL has a port");
        lock(&state).applications.set_port(port);
        Self { server, state }
    }

    /// Returns the URL of the dashboard, which is that of the proxy too.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Returns the target URI of the cluster, such as `ray://127.0.0.1:40123`.
    pub fn target(&self) -> String {
        self.url().replace("http://", "ray://")
    }

    /// Returns the requests that the cluster has received so far.
    pub fn requests(&self) -> Vec<Request> {
        self.server.requests()
    }

    /// Returns the bodies of the requests that replaced the applications so far.
    pub fn changes(&self) -> Vec<Value> {
        let puts = self.requests().into_iter().filter(|each| each.method == "PUT" && each.path.contains("/serve/"));
        puts.map(|each| serde_json::from_slice(&each.body).expect("the body is JSON")).collect()
    }

    /// Returns the number of uploads of packages so far.
    pub fn uploads(&self) -> usize {
        self.requests().iter().filter(|each| each.method == "PUT" && each.path.starts_with("/api/packages/")).count()
    }

    /// Changes the applications as another program would.
    pub fn edit<T>(&self, edit: impl FnOnce(&mut Applications) -> T) -> T {
        edit(&mut lock(&self.state).applications)
    }

    /// Sets the other writer, which changes the applications right after each accepted change. It is called with the
    /// number of the change, from 1.
    pub fn set_other_writer(&self, writer: impl FnMut(usize, &mut Applications) + Send + 'static) {
        lock(&self.state).other_writer = Some(Box::new(writer));
    }

    /// Sets the version of Python that the dashboard reports; `None` for a dashboard without this API.
    pub fn set_python_version(&self, version: Option<&str>) {
        lock(&self.state).python_version = version.map(str::to_owned);
    }

    /// Makes the dashboard require a token.
    pub fn require_token(&self, token: &str) {
        lock(&self.state).token = Some(format!("Bearer {token}"));
    }
}

fn lock(state: &Mutex<ClusterState>) -> MutexGuard<'_, ClusterState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
