//! A small Databricks workspace: serving endpoints with states, and authentication.
//!
//! It follows the documentation of the REST API and the expectations of MLflow's client. It has no clock: an endpoint
//! advances by one step with each GET request, and tokens expire only on request of a test.

mod api;
mod api_error;
mod endpoints;
mod invocations;
mod state;
mod tokens;
mod workspace;

pub use tokens::{CLIENT_ID, CLIENT_SECRET, TOKEN, WORKSPACE_ID};
pub use workspace::Databricks;
