//! Who the client is: a key, or a token of Entra's, from its options or the environment.
//!
//! A `.netrc` file is not asked: it would replace what was given on purpose.

use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use mlflow_deploy_http::{Credentials, Environment, secret_header};
use mlflow_deploy_plugin_api::{Error, Result, Secret};

use crate::config::Options;
use crate::server::{Dialect, Server};

/// The header that says who the client is; none for a server that need not know.
pub(crate) fn header(
    options: &Options,
    server: &Server,
    environment: &Environment<'_>,
) -> Result<Option<(HeaderName, HeaderValue)>> {
    // MLflow's variable comes before those that it does not know.
    let variables: &[&str] = match server.dialect {
        Dialect::OpenAi => &["OPENAI_API_KEY"],
        Dialect::Azure { entra: false, .. } => &["OPENAI_API_KEY", "AZURE_OPENAI_API_KEY"],
        // What is meant as a token counts before what may be one.
        Dialect::Azure { entra: true, .. } => &["AZURE_OPENAI_AD_TOKEN", "OPENAI_API_KEY"],
    };
    let secret = match &options.api_key {
        Some(key) if key.expose().is_empty() => return Ok(None),
        Some(key) => Some(key.clone()),
        None => variables.iter().find_map(|name| environment.secret(name)),
    };
    match (secret, &server.dialect) {
        (Some(key), Dialect::Azure { entra: false, .. }) => Ok(Some((API_KEY, secret_header("api_key", &key)?))),
        (Some(key), _) => bearer(key).map(Some),
        (None, Dialect::OpenAi) if !server.is_openai() => Ok(None),
        (None, Dialect::OpenAi) => Err(Error::invalid_parameter(
            "OPENAI_API_KEY environment variable not set: set it, or give the option `api_key`",
        )),
        (None, Dialect::Azure { entra: false, .. }) => Err(Error::invalid_parameter(
            "Azure OpenAI needs a key: give `api_key`, `OPENAI_API_KEY` or `AZURE_OPENAI_API_KEY`",
        )),
        (None, Dialect::Azure { entra: true, .. }) => Err(Error::invalid_parameter(
            "Azure OpenAI needs a token of Entra's: give `api_key` or `AZURE_OPENAI_AD_TOKEN`, such as what `az account \
             get-access-token --resource https://cognitiveservices.azure.com` prints",
        )),
    }
}

/// Azure's header for keys.
const API_KEY: HeaderName = HeaderName::from_static("api-key");

fn bearer(token: Secret) -> Result<(HeaderName, HeaderValue)> {
    Ok((AUTHORIZATION, Credentials::Bearer(token).header()?))
}
