//! A small Databricks workspace: serving endpoints with states, and the tokens that open it.
//!
//! It behaves as the REST API is documented and as MLflow's client expects it. Time does not pass in it: an endpoint
//! gets on by one step whenever it is looked at, and a token ends when a test says so.

mod api;
mod endpoints;
mod invocations;
mod tokens;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use tokens::{CLIENT_ID, CLIENT_SECRET, TOKEN, WORKSPACE_ID};

use crate::databricks::endpoints::Endpoints;
use crate::databricks::tokens::Tokens;
use crate::server::{Request, Server};

/// The workspace. It is there until it is dropped.
#[derive(Debug)]
pub struct Databricks {
    server: Server,
    state: Arc<Mutex<State>>,
}

/// What the workspace knows.
#[derive(Debug, Default)]
struct State {
    endpoints: Endpoints,
    tokens: Tokens,
}

impl Databricks {
    /// Starts an empty workspace.
    pub fn start() -> Self {
        let state = Arc::<Mutex<State>>::default();
        let server = Server::answering({
            let state = Arc::clone(&state);
            move |request| api::answer(&mut lock(&state), request)
        });
        Self { server, state }
    }

    /// The address, such as `http://127.0.0.1:40123`.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// What it was asked so far.
    pub fn requests(&self) -> Vec<Request> {
        self.server.requests()
    }

    /// How many tokens it has given.
    pub fn tokens_given(&self) -> usize {
        lock(&self.state).tokens.given()
    }

    /// Ends every token that it has given.
    pub fn end_tokens(&self) {
        lock(&self.state).tokens.end();
    }

    /// Lets the update of an endpoint fail for this reason: the one that is under way, or else the next.
    pub fn fail_update(&self, endpoint: &str, reason: &str) {
        lock(&self.state).endpoints.fail(endpoint, reason);
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
