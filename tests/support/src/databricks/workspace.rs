//! A running fake of a Databricks workspace: an HTTP server and its state.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::databricks::api;
use crate::databricks::state::WorkspaceState;
use crate::server::{Request, Server};

/// A running fake of a Databricks workspace. It stops when this value is dropped.
#[derive(Debug)]
pub struct Databricks {
    server: Server,
    state: Arc<Mutex<WorkspaceState>>,
}

impl Databricks {
    /// Starts a workspace without endpoints.
    pub fn start() -> Self {
        let state = Arc::<Mutex<WorkspaceState>>::default();
        let server = Server::answering({
            let state = Arc::clone(&state);
            move |request| api::answer(&mut lock(&state), request)
        });
        Self { server, state }
    }

    /// Returns the URL of the workspace, such as `http://127.0.0.1:40123`.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Returns the requests that the workspace has received so far.
    pub fn requests(&self) -> Vec<Request> {
        self.server.requests()
    }

    /// Returns the number of OAuth tokens that the workspace has issued so far.
    pub fn tokens_issued(&self) -> usize {
        lock(&self.state).tokens.issued()
    }

    /// Makes all OAuth tokens issued so far invalid.
    pub fn expire_tokens(&self) {
        lock(&self.state).tokens.expire_all();
    }

    /// Makes the running update of an endpoint fail with this reason. If no update runs, makes the next update fail.
    pub fn fail_update(&self, endpoint: &str, reason: &str) {
        lock(&self.state).endpoints.fail(endpoint, reason);
    }
}

fn lock(state: &Mutex<WorkspaceState>) -> MutexGuard<'_, WorkspaceState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
