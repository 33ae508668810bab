//! The credentials of a client: an API key or a Microsoft Entra token, from the options or the environment.
//!
//! The client does not read `.netrc`, because that file would replace explicit credentials.

use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use mlflow_deploy_http::{Credentials, Environment, key_header};
use mlflow_deploy_plugin_api::{Error, Result};

use crate::options::Options;
use crate::server::{Dialect, Server};

/// Returns the header that contains the credentials. Returns `None` if no credentials are set and the server does not
/// need them.
pub(crate) fn header(
    options: &Options,
    server: &Server,
    environment: &Environment<'_>,
) -> Result<Option<(HeaderName, HeaderValue)>> {
    // MLflow's variable takes precedence.
    let variables: &[&str] = match server.dialect {
        Dialect::OpenAi => &["OPENAI_API_KEY"],
        Dialect::Azure { entra: false, .. } => &["OPENAI_API_KEY", "AZURE_OPENAI_API_KEY"],
        // The variable for tokens takes precedence over the one for keys.
        Dialect::Azure { entra: true, .. } => &["AZURE_OPENAI_AD_TOKEN", "OPENAI_API_KEY"],
    };
    let secret = match &options.api_key {
        Some(key) if key.expose().is_empty() => return Ok(None),
        Some(key) => Some(("api_key", key.clone())),
        None => variables.iter().find_map(|name| Some((*name, environment.secret(name)?))),
    };
    match (secret, &server.dialect) {
        (Some((source, key)), Dialect::Azure { entra: false, .. }) => {
            Ok(Some((API_KEY, key_header(&format!("`{source}`"), &key)?)))
        }
        (Some((source, key)), _) => {
            Ok(Some((AUTHORIZATION, Credentials::Bearer(key).header_of(&format!("`{source}`"))?)))
        }
        (None, Dialect::OpenAi) if !server.is_openai() => Ok(None),
        (None, Dialect::OpenAi) => {
            Err(Error::invalid_parameter("OPENAI_API_KEY environment variable not set: set it or the option `api_key`"))
        }
        (None, Dialect::Azure { entra: false, .. }) => Err(Error::invalid_parameter(
            "missing key for Azure OpenAI: set `api_key`, `OPENAI_API_KEY` or `AZURE_OPENAI_API_KEY`",
        )),
        (None, Dialect::Azure { entra: true, .. }) => Err(Error::invalid_parameter(
            "missing Microsoft Entra token for Azure OpenAI: set `api_key` or `AZURE_OPENAI_AD_TOKEN`, for example to \
             the output of `az account get-access-token --resource https://cognitiveservices.azure.com`",
        )),
    }
}

/// The name of the header that contains an API key for Azure OpenAI.
const API_KEY: HeaderName = HeaderName::from_static("api-key");
