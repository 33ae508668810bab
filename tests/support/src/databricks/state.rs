//! The state of the fake Databricks workspace: its endpoints and tokens.

use crate::databricks::endpoints::Endpoints;
use crate::databricks::tokens::Tokens;

/// The state of the workspace: its serving endpoints and its OAuth tokens.
#[derive(Debug, Default)]
pub(super) struct WorkspaceState {
    pub(super) endpoints: Endpoints,
    pub(super) tokens: Tokens,
}
