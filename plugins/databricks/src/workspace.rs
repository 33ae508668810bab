//! A Databricks workspace: its URL, and the headers that authenticate a request.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use mlflow_deploy_http::{Client, Environment, Policy, header_value};
use mlflow_deploy_plugin_api::{Error, ErrorCode, Result, TargetUri};
use url::Url;

use crate::auth::{
    AuthClient, CredentialProvider, OidcDiscovery, ProviderContext, TokenCache, model_serving_url, select,
};
use crate::options::Options;
use crate::workspace_url::WorkspaceUrl;

/// A Databricks workspace and the credentials for it.
#[derive(Debug)]
pub(crate) struct Workspace {
    oidc: OidcDiscovery,
    provider: CredentialProvider,
    tokens: TokenCache,
}

impl Workspace {
    /// Selects the workspace and the credentials. May read files, such as `~/.databrickscfg`. Sends no request.
    ///
    /// # Errors
    /// `INVALID_PARAMETER_VALUE` if a setting is invalid, or if the host or the credentials are missing.
    pub(crate) fn new(target: &TargetUri, mut options: Options, environment: &Environment<'_>) -> Result<Self> {
        options.profile = options.profile.or(profile(target)?);
        let mut options = options.complete(environment)?;
        options.host = options.host.or_else(|| model_serving_url(environment));
        let Some(host) = &options.host else {
            return Err(Error::invalid_parameter(
                "no workspace is configured: set the option `host` or `DATABRICKS_HOST`, or name a profile of \
                 `~/.databrickscfg`, as in `databricks://PROFILE`",
            ));
        };
        let workspace_url = WorkspaceUrl::parse(host)?;
        let context = ProviderContext { options: &options, environment, workspace_url: &workspace_url };
        let provider = select(&context)?;
        Ok(Self { oidc: OidcDiscovery::new(workspace_url, &options), provider, tokens: TokenCache::default() })
    }

    /// Returns the URL of the workspace, which is the base of all API paths.
    pub(crate) fn base(&self) -> &Url {
        self.oidc.workspace_url()
    }

    /// Returns the headers that authenticate a request. They also contain the workspace's id if it is known.
    ///
    /// # Errors
    /// Fails with the error of the credential provider if it returns no token.
    pub(crate) async fn headers(&self, http: &Client, policy: &Policy) -> Result<HeaderMap> {
        let renew = || async {
            let token = self.provider.token(&AuthClient::new(http, policy), &self.oidc).await;
            token.map_err(|error| error.with_detail("auth_type", self.provider.name()))
        };
        let mut headers = self.tokens.headers(renew).await?;
        if let Some(id) = self.oidc.workspace_id() {
            headers.insert("x-databricks-org-id", header_value("workspace_id", id)?);
        }
        Ok(headers)
    }

    /// Discards the token in `sent`, the headers of a request that the server rejected with status 401. Returns true if
    /// the request should be sent again with new [headers](Self::headers).
    pub(crate) fn reject_token(&self, sent: &HeaderMap) -> bool {
        sent.get(AUTHORIZATION).is_some_and(|header| self.tokens.reject(header))
    }

    /// Returns the name of the selected authentication type, such as `pat`.
    #[cfg(test)]
    pub(crate) fn auth_type(&self) -> &'static str {
        self.provider.name()
    }

    /// Replaces the URL of Microsoft Entra's login service with that of a test server.
    #[cfg(test)]
    pub(crate) fn set_login_url(&mut self, login: &str) {
        self.provider.set_login_url(login);
    }

    /// Makes the cached token expire.
    #[cfg(test)]
    pub(crate) fn expire_token(&self) {
        self.tokens.age(true);
    }
}

/// Returns the profile `PROFILE` of the target `databricks://PROFILE`, or `None` for the target `databricks`.
fn profile(target: &TargetUri) -> Result<Option<String>> {
    let Some((_scheme, rest)) = target.as_str().split_once(':') else { return Ok(None) };
    let profile = rest.strip_prefix("//").map(|rest| rest.trim_end_matches('/')).unwrap_or_default();
    if profile.contains("://") || profile.contains("databricks.") {
        return Err(Error::invalid_parameter(
            "the target contains a URL: expected a profile; use the target `databricks`, and set the option `host` or \
             `DATABRICKS_HOST` to the URL",
        ));
    }
    if profile.contains(':') {
        return Err(Error::new(
            ErrorCode::NOT_IMPLEMENTED,
            "a target with a secret scope and prefix is supported only inside Databricks: name a profile, as in \
             `databricks://PROFILE`",
        ));
    }
    if profile.is_empty() || profile.contains('/') {
        return Err(Error::invalid_parameter(format!(
            "invalid target `{target}`: expected `databricks` or `databricks://PROFILE`"
        )));
    }
    Ok(Some(profile.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_may_name_a_profile() {
        let of = |uri: &str| profile(&TargetUri::parse(uri).unwrap());
        assert_eq!(of("databricks").unwrap(), None);
        assert_eq!(of("databricks://prof").unwrap().as_deref(), Some("prof"));
        assert_eq!(of("databricks://prof/").unwrap().as_deref(), Some("prof"));
        assert_eq!(of("databricks://scope:prefix").unwrap_err().code(), &ErrorCode::NOT_IMPLEMENTED);
        for url in ["databricks://https://x.cloud.databricks.com/", "databricks://adb-1.2.azuredatabricks.net"] {
            let error = of(url).unwrap_err();
            assert!(error.message().contains("set the option `host` or `DATABRICKS_HOST`"), "{error}");
        }
        for wrong in ["databricks:/x", "databricks://", "databricks:", "databricks://a/b"] {
            assert_eq!(of(wrong).unwrap_err().code(), &ErrorCode::INVALID_PARAMETER_VALUE, "{wrong}");
        }
    }
}
