//! What a host says of itself, and where its tokens come from.
//!
//! A host is asked at most once, with little patience, and only for credentials that need to know.

use std::time::Duration;

use http::HeaderMap;
use mlflow_deploy_http::{Policy, is_loopback, join, redact_url};
use mlflow_deploy_plugin_api::call::{self, Level};
use mlflow_deploy_plugin_api::{Error, Result};
use serde::Deserialize;
use tokio::sync::OnceCell;
use url::Url;

use crate::auth::Exchange;
use crate::options::Options;
use crate::workspace_url::Host;

/// How long a host may take to say what it is. It can do without.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whom a token endpoint may belong to, beside the host itself: Databricks and Microsoft Entra.
const TRUSTED: [&str; 8] = [
    ".databricks.com",
    ".azuredatabricks.net",
    ".databricks.azure.us",
    ".databricks.azure.cn",
    ".databricks.us",
    "login.microsoftonline.com",
    "login.microsoftonline.us",
    "login.chinacloudapi.cn",
];

/// A host, as it is known from its options and from what it says.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) host: Host,
    account_id: Option<String>,
    workspace_id: Option<String>,
    discovery_url: Option<String>,
    token_audience: Option<String>,
    said: OnceCell<Metadata>,
    token_endpoint: OnceCell<Url>,
}

/// What `/.well-known/databricks-config` says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Metadata {
    account_id: Option<String>,
    workspace_id: Option<String>,
    oidc_endpoint: Option<String>,
    token_federation_default_oidc_audiences: Vec<String>,
}

#[derive(Deserialize)]
struct Discovery {
    token_endpoint: String,
}

impl Site {
    pub(crate) fn new(host: Host, options: &Options) -> Self {
        Self {
            account_id: options.account_id.clone(),
            workspace_id: options.workspace_id.clone().or_else(|| host.workspace_id.clone()),
            discovery_url: options.discovery_url.clone(),
            token_audience: options.token_audience.clone(),
            host,
            said: OnceCell::new(),
            token_endpoint: OnceCell::new(),
        }
    }

    /// The workspace's id, where it is known without asking.
    pub(crate) fn workspace_id(&self) -> Option<&str> {
        let said = self.said.get().and_then(|said| said.workspace_id.as_deref());
        self.workspace_id.as_deref().or(said)
    }

    /// Where tokens are asked for.
    pub(crate) async fn token_endpoint(&self, exchange: &Exchange<'_>) -> Result<&Url> {
        self.token_endpoint.get_or_try_init(|| self.discover(exchange)).await
    }

    /// Whom a token of another issuer has to be meant for, to be taken here.
    pub(crate) async fn audience(&self, exchange: &Exchange<'_>) -> Result<String> {
        if let Some(audience) = &self.token_audience {
            return Ok(audience.clone());
        }
        let said = self.said(exchange).await;
        let own = said.token_federation_default_oidc_audiences.first();
        let account_id = self.account_id.as_ref().or(said.account_id.as_ref());
        match (own, account_id, self.workspace_id()) {
            (Some(audience), _, _) | (None, Some(audience), None) => Ok(audience.clone()),
            _ => Ok(self.token_endpoint(exchange).await?.to_string()),
        }
    }

    async fn said(&self, exchange: &Exchange<'_>) -> &Metadata {
        let ask = || async {
            let url = join(&self.host.url, "/.well-known/databricks-config");
            let policy = Policy { silence: PATIENCE, total: Some(PATIENCE), max_retries: 0, ..exchange.policy.clone() };
            match (Exchange { policy, ..*exchange }).get(&url, HeaderMap::new()).await {
                Ok(metadata) => metadata,
                Err(error) => {
                    call::log(Level::Debug, format!("the host does not say what it is, and it is guessed: {error}"));
                    Metadata::default()
                }
            }
        };
        self.said.get_or_init(ask).await
    }

    async fn discover(&self, exchange: &Exchange<'_>) -> Result<Url> {
        let url = match &self.discovery_url {
            Some(url) => parse(url)?,
            None => self.discovery_url(self.said(exchange).await)?,
        };
        let discovery: Discovery = exchange.get(&url, HeaderMap::new()).await?;
        let endpoint = parse(&discovery.token_endpoint)?;
        if self.trusts(&endpoint, &url) {
            return Ok(endpoint);
        }
        Err(Error::internal(format!(
            "`{}` names the token endpoint `{}`, which belongs neither to the host nor to Databricks: no secret is sent \
             there; if you trust it, name its own document as `discovery_url`",
            redact_url(&url),
            redact_url(&endpoint)
        )))
    }

    /// Where the document is that names the token endpoint.
    fn discovery_url(&self, said: &Metadata) -> Result<Url> {
        const DOCUMENT: &str = "/.well-known/oauth-authorization-server";
        let account_id = self.account_id.as_deref().or(said.account_id.as_deref());
        match (&said.oidc_endpoint, account_id) {
            (Some(endpoint), account_id) => {
                if endpoint.contains("{account_id}") && account_id.is_none() {
                    let message = "the account's id is not known: give it as `account_id`";
                    return Err(Error::invalid_parameter(message));
                }
                let endpoint = endpoint.replace("{account_id}", account_id.unwrap_or_default());
                Ok(join(&parse(&endpoint)?, DOCUMENT))
            }
            (None, Some(account_id)) if self.host.is_account() => {
                Ok(join(&self.host.url, &format!("/oidc/accounts/{account_id}{DOCUMENT}")))
            }
            (None, _) => Ok(join(&self.host.url, &format!("/oidc{DOCUMENT}"))),
        }
    }

    /// Whether secrets may go to this token endpoint, which a document named.
    fn trusts(&self, endpoint: &Url, document: &Url) -> bool {
        let host = endpoint.host_str().unwrap_or_default();
        let is_named = self.discovery_url.is_some() && endpoint.host() == document.host();
        let is_same = endpoint.host() == self.host.url.host() || (is_loopback(endpoint) && is_loopback(&self.host.url));
        is_named || is_same || TRUSTED.iter().any(|known| host.ends_with(known))
    }
}

fn parse(url: &str) -> Result<Url> {
    Url::parse(url)
        .map_err(|error| Error::invalid_parameter(format!("a URL of the discovery of tokens is not one: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(host: &str, account_id: Option<&str>) -> Site {
        let options = Options { account_id: account_id.map(str::to_owned), ..Options::default() };
        Site::new(Host::parse(host).unwrap(), &options)
    }

    fn document(host: &str, account_id: Option<&str>, endpoint: Option<&str>) -> String {
        let said = Metadata { oidc_endpoint: endpoint.map(str::to_owned), ..Metadata::default() };
        site(host, account_id).discovery_url(&said).map_or_else(|error| error.to_string(), |url| url.to_string())
    }

    #[test]
    fn the_document_is_where_the_host_says_or_where_it_usually_is() {
        const DOCUMENT: &str = ".well-known/oauth-authorization-server";
        assert_eq!(document("w.test", None, None), format!("https://w.test/oidc/{DOCUMENT}"));
        assert_eq!(document("w.test", Some("a"), None), format!("https://w.test/oidc/{DOCUMENT}"));
        assert_eq!(
            document("accounts.cloud.databricks.com", Some("a"), None),
            format!("https://accounts.cloud.databricks.com/oidc/accounts/a/{DOCUMENT}")
        );
        let endpoint = Some("https://i.test/oidc/accounts/{account_id}/");
        assert_eq!(document("w.test", Some("a"), endpoint), format!("https://i.test/oidc/accounts/a/{DOCUMENT}"));
        assert!(document("w.test", None, endpoint).contains("give it as `account_id`"));
    }

    #[test]
    fn secrets_go_to_the_host_and_to_databricks_alone() {
        let url = |text: &str| Url::parse(text).unwrap();
        let trusts = |host: &str, endpoint: &str| site(host, None).trusts(&url(endpoint), &url("https://w.test/d"));
        assert!(trusts("w.test", "https://w.test/oidc/v1/token"));
        assert!(trusts("w.test", "https://accounts.cloud.databricks.com/t"));
        assert!(trusts("http://127.0.0.1:1", "http://127.0.0.1:2/t"));
        assert!(!trusts("w.test", "https://evil.test/t"));
        assert!(!trusts("w.test", "https://evildatabricks.com/t"));
        let mut named = site("w.test", None);
        named.discovery_url = Some("https://own.test/d".to_owned());
        assert!(named.trusts(&url("https://own.test/t"), &url("https://own.test/d")));
    }
}
