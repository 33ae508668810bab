//! Discovers the OAuth settings of a workspace: its token endpoint, its ids, and the audience that id tokens must have.
//!
//! Requests the workspace's metadata at most once, and only if a provider needs it.

use std::time::Duration;

use http::HeaderMap;
use mlflow_deploy_http::{Policy, is_loopback, join, redact_url};
use mlflow_deploy_plugin_api::call::{self, Level};
use mlflow_deploy_plugin_api::{Error, Result};
use serde::Deserialize;
use tokio::sync::OnceCell;
use url::Url;

use crate::auth::AuthClient;
use crate::options::Options;
use crate::workspace_url::WorkspaceUrl;

/// The timeout of the request for the workspace's metadata. It is short because the metadata is optional.
const METADATA_TIMEOUT: Duration = Duration::from_secs(5);

/// The domains of Databricks and Microsoft Entra. Secrets may be sent to token endpoints in these domains.
const TRUSTED_DOMAINS: [&str; 8] = [
    ".databricks.com",
    ".azuredatabricks.net",
    ".databricks.azure.us",
    ".databricks.azure.cn",
    ".databricks.us",
    "login.microsoftonline.com",
    "login.microsoftonline.us",
    "login.chinacloudapi.cn",
];

/// A workspace's OAuth settings, from the options and from the workspace's metadata.
#[derive(Debug)]
pub(crate) struct OidcDiscovery {
    workspace: WorkspaceUrl,
    account_id: Option<String>,
    workspace_id: Option<String>,
    discovery_url: Option<String>,
    token_audience: Option<String>,
    metadata: OnceCell<WorkspaceMetadata>,
    token_endpoint: OnceCell<Url>,
}

/// The document `/.well-known/databricks-config`, which contains a workspace's metadata.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WorkspaceMetadata {
    account_id: Option<String>,
    workspace_id: Option<String>,
    oidc_endpoint: Option<String>,
    token_federation_default_oidc_audiences: Vec<String>,
}

/// The document `/.well-known/oauth-authorization-server`, which names the token endpoint.
#[derive(Deserialize)]
struct AuthorizationServer {
    token_endpoint: String,
}

impl OidcDiscovery {
    pub(crate) fn new(workspace: WorkspaceUrl, options: &Options) -> Self {
        Self {
            account_id: options.account_id.clone(),
            workspace_id: options.workspace_id.clone().or_else(|| workspace.workspace_id.clone()),
            discovery_url: options.discovery_url.clone(),
            token_audience: options.token_audience.clone(),
            workspace,
            metadata: OnceCell::new(),
            token_endpoint: OnceCell::new(),
        }
    }

    /// Returns the URL of the workspace, without a query.
    pub(crate) fn workspace_url(&self) -> &Url {
        &self.workspace.url
    }

    /// Returns the id of the workspace, if it is configured, or if metadata that contains it was read before.
    pub(crate) fn workspace_id(&self) -> Option<&str> {
        let discovered = self.metadata.get().and_then(|metadata| metadata.workspace_id.as_deref());
        self.workspace_id.as_deref().or(discovered)
    }

    /// Returns the URL of the workspace's token endpoint. The first call requests the discovery document that names it.
    pub(crate) async fn token_endpoint(&self, client: &AuthClient<'_>) -> Result<&Url> {
        self.token_endpoint.get_or_try_init(|| self.discover(client)).await
    }

    /// Returns the audience that an id token of another issuer must name, so that the workspace accepts it.
    pub(crate) async fn audience(&self, client: &AuthClient<'_>) -> Result<String> {
        if let Some(audience) = &self.token_audience {
            return Ok(audience.clone());
        }
        let metadata = self.metadata(client).await;
        let default = metadata.token_federation_default_oidc_audiences.first();
        let account_id = self.account_id.as_ref().or(metadata.account_id.as_ref());
        match (default, account_id, self.workspace_id()) {
            (Some(audience), _, _) | (None, Some(audience), None) => Ok(audience.clone()),
            _ => Ok(self.token_endpoint(client).await?.to_string()),
        }
    }

    async fn metadata(&self, client: &AuthClient<'_>) -> &WorkspaceMetadata {
        let fetch = || async {
            let url = join(&self.workspace.url, "/.well-known/databricks-config");
            let (silence, total) = (METADATA_TIMEOUT, Some(METADATA_TIMEOUT));
            let policy = Policy { silence, total, max_retries: 0, ..client.policy.clone() };
            match client.with_policy(policy).get(&url, HeaderMap::new(), "the workspace's metadata").await {
                Ok(metadata) => metadata,
                Err(error) => {
                    let message = format!("failed to read the workspace's metadata, using defaults: {error}");
                    call::log(Level::Debug, message);
                    WorkspaceMetadata::default()
                }
            }
        };
        self.metadata.get_or_init(fetch).await
    }

    async fn discover(&self, client: &AuthClient<'_>) -> Result<Url> {
        let url = match &self.discovery_url {
            Some(url) => parse(url)?,
            None => self.discovery_url(self.metadata(client).await)?,
        };
        let server: AuthorizationServer = client.get(&url, HeaderMap::new(), "a discovery document").await?;
        let endpoint = parse(&server.token_endpoint)?;
        if self.trusts(&endpoint, &url) {
            return Ok(endpoint);
        }
        Err(Error::internal(format!(
            "untrusted token endpoint `{}` in `{}`: expected a host of the workspace, Databricks or Entra; no secret \
             was sent; to trust it, set `discovery_url` to a document on its host",
            redact_url(&endpoint),
            redact_url(&url)
        )))
    }

    /// Returns the URL of the discovery document, which names the token endpoint.
    fn discovery_url(&self, metadata: &WorkspaceMetadata) -> Result<Url> {
        const DOCUMENT: &str = "/.well-known/oauth-authorization-server";
        let account_id = self.account_id.as_deref().or(metadata.account_id.as_deref());
        match (&metadata.oidc_endpoint, account_id) {
            (Some(endpoint), account_id) => {
                if endpoint.contains("{account_id}") && account_id.is_none() {
                    let message = "the id of the account is missing: set `account_id`";
                    return Err(Error::invalid_parameter(message));
                }
                let endpoint = endpoint.replace("{account_id}", account_id.unwrap_or_default());
                Ok(join(&parse(&endpoint)?, DOCUMENT))
            }
            (None, Some(account_id)) if self.workspace.is_account() => {
                Ok(join(&self.workspace.url, &format!("/oidc/accounts/{account_id}{DOCUMENT}")))
            }
            (None, _) => Ok(join(&self.workspace.url, &format!("/oidc{DOCUMENT}"))),
        }
    }

    /// Returns true if secrets may be sent to `endpoint`, which the discovery document at the URL `document` names.
    fn trusts(&self, endpoint: &Url, document: &Url) -> bool {
        let host = endpoint.host_str().unwrap_or_default();
        let is_configured = self.discovery_url.is_some() && endpoint.host() == document.host();
        let is_workspace =
            endpoint.host() == self.workspace.url.host() || (is_loopback(endpoint) && is_loopback(&self.workspace.url));
        is_configured || is_workspace || TRUSTED_DOMAINS.iter().any(|domain| host.ends_with(domain))
    }
}

fn parse(url: &str) -> Result<Url> {
    Url::parse(url).map_err(|error| Error::invalid_parameter(format!("invalid URL in the token discovery: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn discovery(host: &str, account_id: Option<&str>) -> OidcDiscovery {
        let options = Options { account_id: account_id.map(str::to_owned), ..Options::default() };
        OidcDiscovery::new(WorkspaceUrl::parse(host).unwrap(), &options)
    }

    fn document(host: &str, account_id: Option<&str>, endpoint: Option<&str>) -> String {
        let oidc_endpoint = endpoint.map(str::to_owned);
        let metadata = WorkspaceMetadata { oidc_endpoint, ..WorkspaceMetadata::default() };
        let url = discovery(host, account_id).discovery_url(&metadata);
        url.map_or_else(|error| error.to_string(), |url| url.to_string())
    }

    #[test]
    fn the_discovery_url_is_the_workspace_s_or_the_default() {
        const DOCUMENT: &str = ".well-known/oauth-authorization-server";
        assert_eq!(document("w.test", None, None), format!("https://w.test/oidc/{DOCUMENT}"));
        assert_eq!(document("w.test", Some("a"), None), format!("https://w.test/oidc/{DOCUMENT}"));
        assert_eq!(
            document("accounts.cloud.databricks.com", Some("a"), None),
            format!("https://accounts.cloud.databricks.com/oidc/accounts/a/{DOCUMENT}")
        );
        let endpoint = Some("https://i.test/oidc/accounts/{account_id}/");
        assert_eq!(document("w.test", Some("a"), endpoint), format!("https://i.test/oidc/accounts/a/{DOCUMENT}"));
        assert!(document("w.test", None, endpoint).contains("set `account_id`"));
    }

    #[test]
    fn only_endpoints_of_the_workspace_and_databricks_are_trusted() {
        let url = |text: &str| Url::parse(text).unwrap();
        let trusts =
            |host: &str, endpoint: &str| discovery(host, None).trusts(&url(endpoint), &url("https://w.test/d"));
        assert!(trusts("w.test", "https://w.test/oidc/v1/token"));
        assert!(trusts("w.test", "https://accounts.cloud.databricks.com/t"));
        assert!(trusts("http://127.0.0.1:1", "http://127.0.0.1:2/t"));
        assert!(!trusts("w.test", "https://evil.test/t"));
        assert!(!trusts("w.test", "https://evildatabricks.com/t"));
        let mut configured = discovery("w.test", None);
        configured.discovery_url = Some("https://own.test/d".to_owned());
        assert!(configured.trusts(&url("https://own.test/t"), &url("https://own.test/d")));
    }
}
