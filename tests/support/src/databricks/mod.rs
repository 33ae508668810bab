//! A small fake of a Databricks workspace, with authentication and with serving endpoints that have states.
//!
//! The fake follows the documentation of the REST API and the expectations of MLflow's client. It does not depend on
//! time. An endpoint advances by one step with each GET request. Tokens expire when a test calls `expire_tokens`.

mod api;
mod api_error;
mod endpoints;
mod invocations;
mod state;
mod tokens;
mod workspace;

pub use tokens::{CLIENT_ID, CLIENT_SECRET, TOKEN, WORKSPACE_ID};
pub use workspace::Databricks;
