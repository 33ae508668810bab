//! Credentials that the machine provides. The provider `metadata-service` requests a token from a local service, such
//! as one that an IDE starts. The provider `model-serving` reads the token file in the container of a model that
//! Databricks serves.

use std::path::PathBuf;
use std::time::SystemTime;

use http::{HeaderMap, HeaderValue, Method};
use mlflow_deploy_http::{Credentials, Environment, Policy, header_value, hide, request};
use mlflow_deploy_plugin_api::{Error, ErrorCode, Result, Secret, blocking, file};
use serde::Deserialize;
use url::Url;

use crate::auth::{AuthClient, OidcDiscovery, ProviderContext, Token};

/// The maximum size of a token file, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// The assumed lifetime of a token from the token file in a model's container, in seconds. After that time, the file is
/// read again.
const FILE_LIFETIME: u64 = 300;

#[derive(Debug)]
pub(crate) struct MetadataService {
    /// The URL of the local metadata service. It is a secret, because every process that has the URL can request
    /// tokens.
    url: Secret,
}

#[derive(Debug)]
pub(crate) struct ModelServing {
    path: PathBuf,
}

#[derive(Deserialize)]
struct MetadataToken {
    access_token: Secret,
    expires_on: u64,
}

#[derive(Deserialize)]
struct TokenFile {
    #[serde(rename = "OAUTH_TOKEN")]
    tokens: Vec<TokenFileEntry>,
}

#[derive(Deserialize)]
struct TokenFileEntry {
    #[serde(rename = "oauthTokenValue")]
    value: Secret,
}

impl MetadataService {
    pub(super) fn detect(context: &ProviderContext<'_>) -> Result<Option<Self>> {
        let url = context.options.metadata_service_url.clone();
        Ok(url.map(|url| Self { url }))
    }

    pub(super) async fn token(&self, client: &AuthClient<'_>, oidc: &OidcDiscovery) -> Result<Token> {
        let url = Url::parse(self.url.expose())
            .map_err(|error| Error::invalid_parameter(format!("`metadata_service_url` is not a URL: {error}")))?;
        let mut headers = HeaderMap::new();
        headers.insert("x-databricks-metadata-version", HeaderValue::from_static("1"));
        let host = oidc.workspace_url().as_str().trim_end_matches('/');
        headers.insert("x-databricks-host", header_value("host", host)?);
        let mut request = request(Method::GET, &url, headers, "")?;
        hide(&mut request, [self.url.clone()]);
        // Retries are off: the warning about a retry would show the URL, and a local service seldom answers a second
        // attempt.
        let once = client.with_policy(Policy { max_retries: 0, ..client.policy.clone() });
        let token: MetadataToken = once.json(&request, "a token").await.map_err(|error| without_url(&error))?;
        Ok(Token::new(Credentials::Bearer(token.access_token)).expires_after(SystemTime::UNIX_EPOCH, token.expires_on))
    }
}

/// Returns the error of a failed token request without the URL of the metadata service, which is a secret.
fn without_url(error: &Error) -> Error {
    if *error.code() == ErrorCode::INVALID_PARAMETER_VALUE {
        return error.clone();
    }
    let status = error.http_status().map_or_else(String::new, |status| format!(": status {status}"));
    let message =
        format!("the service at `metadata_service_url` returned no token{status}; check that it is still running");
    Error::new(error.code().clone(), message)
}

/// Returns the URL of the workspace, from the environment of a container that serves a model; `None` outside of such a
/// container.
pub(crate) fn model_serving_url(environment: &Environment<'_>) -> Option<String> {
    if !is_model_container(environment) {
        return None;
    }
    ["DATABRICKS_MODEL_SERVING_HOST_URL", "DB_MODEL_SERVING_HOST_URL"].iter().find_map(|name| environment.text(name))
}

fn is_model_container(environment: &Environment<'_>) -> bool {
    let flags = ["IS_IN_DB_MODEL_SERVING_ENV", "IS_IN_DATABRICKS_MODEL_SERVING_ENV"];
    flags.iter().any(|name| environment.text(name).is_some_and(|value| value == "true"))
}

impl ModelServing {
    pub(super) fn detect(context: &ProviderContext<'_>) -> Result<Option<Self>> {
        let folder = context.environment.text("SERVING_CREDENTIALS_DIR");
        let folder = folder.map_or_else(|| PathBuf::from("/var/credentials-secret"), PathBuf::from);
        let path = folder.join("model-dependencies-oauth-token");
        Ok((is_model_container(context.environment) && path.exists()).then_some(Self { path }))
    }

    pub(super) async fn token(&self, _client: &AuthClient<'_>, _oidc: &OidcDiscovery) -> Result<Token> {
        let path = self.path.clone();
        let secret = blocking(move || {
            let shown = path.display();
            let text = file::read(&path, MAX_FILE)
                .map_err(|error| Error::internal(format!("failed to read the token in `{shown}`: {error}")))?;
            let parsed = serde_json::from_slice::<TokenFile>(&text).ok();
            let entry = parsed.and_then(|file| file.tokens.into_iter().next());
            let missing =
                || Error::internal(format!("the token file `{shown}` has no token: expected JSON with `OAUTH_TOKEN`"));
            entry.map(|entry| entry.value).ok_or_else(missing)
        });
        Ok(Token::new(Credentials::Bearer(secret.await?)).expires_after(SystemTime::now(), FILE_LIFETIME))
    }
}
