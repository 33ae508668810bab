//! The settings that the credential providers are built from.

use mlflow_deploy_http::Environment;

use crate::options::Options;
use crate::workspace_url::WorkspaceUrl;

/// The settings that a credential provider is built from.
#[derive(Debug)]
pub(crate) struct ProviderContext<'a> {
    pub(crate) options: &'a Options,
    pub(crate) environment: &'a Environment<'a>,
    pub(crate) workspace_url: &'a WorkspaceUrl,
}
