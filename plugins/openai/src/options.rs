//! The client options of the OpenAI plugin.

use std::collections::BTreeMap;
use std::path::PathBuf;

use mlflow_deploy_plugin_api::Secret;
use serde::Deserialize;

/// The client options of the OpenAI plugin. They take precedence over environment variables.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Options {
    pub(crate) base_url: Option<String>,
    pub(crate) api_key: Option<Secret>,
    pub(crate) api_type: Option<String>,
    pub(crate) api_version: Option<String>,
    pub(crate) deployment: Option<String>,
    pub(crate) organization: Option<String>,
    pub(crate) project: Option<String>,
    pub(crate) headers: BTreeMap<String, Secret>,
    pub(crate) timeout: Option<f64>,
    pub(crate) max_retries: Option<u32>,
    pub(crate) retry_post: bool,
    pub(crate) allow_http: bool,
    pub(crate) ca_cert: Option<PathBuf>,
    pub(crate) client_cert: Option<PathBuf>,
    pub(crate) insecure: bool,
}
